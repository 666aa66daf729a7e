"""Systems measured on pairs: figures, and the tables, pages and pictures that show them."""
