PYTHON ?= python3
BIN := .venv/bin
DATA ?= data
PHOTOS ?= data/photos
PROCESSES ?= 1
SEED ?= 0
FOUR_WAYS := separate_resize separate_transposed joint joint_ignore_enhance

.DELETE_ON_ERROR:
.PHONY: help install demo test test-browser check bench experiments retinex-plus golden format clean

help:  ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# uv unpacks torch's five gigabytes in half of the time that pip takes; where it cannot, as behind an index that pip alone knows, pip does.
define pip_install
	{ $(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' && \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1); } || \
		$(BIN)/pip install --quiet --disable-pip-version-check $(1)
endef

install: $(BIN)/lowlight  ## Make .venv with everything lowlight needs
test-tools: .venv/.dev

# torch and torchvision are resolved in one go into a fresh environment: builds that do not match break at import.
$(BIN)/lowlight: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("lowlight needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(call pip_install,--editable .)
	@$(BIN)/python -c 'import torchvision'
	@touch $@

.venv/.dev: $(BIN)/lowlight
	$(call pip_install,--editable '.[dev]')
	@touch $@

demo: $(BIN)/lowlight  ## Enhance and decompose the packaged dark photographs into demo/
	$(BIN)/lowlight enhance lowlight_cli/samples/photos --out demo/bright --overwrite
	$(BIN)/lowlight decompose lowlight_cli/samples/photos --out demo/maps --overwrite
	@echo "Look into demo/bright (the results) and demo/maps (how they came about)."

test: .venv/.dev  ## Run the test suite
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-browser: .venv/.dev  ## Test the page in headless Chromium, installing that where it can
	$(call pip_install,'selenium~=4.30')
	@command -v chromedriver >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium chromium-driver) >/dev/null 2>&1 || \
		echo "Chromium with ChromeDriver is not here and cannot be installed: install both, then run this again"
	$(BIN)/python -m pytest tests/test_browser.py -rs

check: .venv/.dev  ## Formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.dev  ## Time training and enhancing against the plain way, DATA=data
	$(BIN)/python experiments/bench/training.py --data $(DATA)
	$(BIN)/python experiments/bench/enhance.py --model retinexnet
	$(BIN)/python experiments/bench/enhance.py --model retinex-plus

experiments: .venv/.dev  ## Train RetinexNet in four ways, and one that mends what they show, and compare them, DATA=data, SEED=0; goes on where it stopped
	for name in $(FOUR_WAYS); do \
		$(BIN)/lowlight train --config experiments/$$name.toml --seed $(SEED) --data $(DATA) --run-dir runs/$$name-seed$(SEED) || exit; \
	done
	$(BIN)/lowlight train --config experiments/joint_cured.toml --init runs/separate_resize-seed$(SEED)/last.safetensors \
		--seed $(SEED) --data $(DATA) --run-dir runs/joint_cured-seed$(SEED)
	$(BIN)/python experiments/four_ways.py --data $(DATA) $(patsubst %,runs/%-seed$(SEED),$(FOUR_WAYS) joint_cured)

retinex-plus: .venv/.dev  ## Train the default model from nothing, DATA=data, PHOTOS=data/photos with bsds500/ and imagenet/, PROCESSES=1; goes on where it stopped
	$(BIN)/torchrun --nproc-per-node $(PROCESSES) -m lowlight_cli train --config experiments/retinex_plus.toml --data $(DATA) --photos $(PHOTOS)/bsds500 --run-dir runs/retinex-plus
	$(BIN)/torchrun --nproc-per-node $(PROCESSES) -m lowlight_cli train --config experiments/retinex_plus_photographs.toml --data $(DATA) --photos $(PHOTOS) --run-dir runs/retinex-plus-photographs
	$(BIN)/python experiments/average.py runs/retinex-plus-mean.safetensors \
		runs/retinex-plus-photographs/last.safetensors runs/retinex-plus-photographs/last.safetensors runs/retinex-plus/last.safetensors
	$(BIN)/torchrun --nproc-per-node $(PROCESSES) -m lowlight_cli train --config experiments/retinex_plus_photographs.toml --epochs 20 --data $(DATA) --photos $(PHOTOS) --init runs/retinex-plus-mean.safetensors --run-dir runs/retinex-plus-noise
	$(BIN)/python experiments/average.py runs/retinex-plus.safetensors \
		runs/retinex-plus-noise/last.safetensors runs/retinex-plus-mean.safetensors runs/retinex-plus-mean.safetensors

golden: .venv/.dev  ## Rewrite tests/golden from the packaged models and, REFERENCE=file.npz, the TensorFlow reference
	PYTHONPATH=tests $(BIN)/python experiments/golden.py $(REFERENCE)

format: .venv/.dev  ## Let ruff format and mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove .venv, caches and demo/
	rm -rf .venv demo dist build .mypy_cache .pytest_cache .ruff_cache
