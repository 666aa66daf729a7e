"""The ten pairs that come with the package, and what is known of the Mondrians among them."""

ABOUT = "ten small pairs of our own: darkened photographs and Mondrians whose reflectance and light are known"
