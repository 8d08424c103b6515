# Every target makes the virtual environment that it needs, and again when its requirements have changed.
PYTHON ?= python3
PYTEST_ARGS ?=
FUZZ_EXAMPLES ?= 1000000
FAULT_RUNS ?= 5
MINUTES ?= 60
BIN := .venv/bin

# What a target needs and does not find, it says before it does anything else.
NEEDS := needs-docs needs-soak needs-pictures needs-check-deploy needs-image needs-cluster-test

.PHONY: $(NEEDS) demo test coverage fuzz faults soak measure-gpu docs pictures check-deploy image cluster-test lint format clean

demo: .venv/.demo
	$(BIN)/rerank-worker demo $(DEMO_ARGS)

test: .venv/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

coverage: .venv/.dev
	$(BIN)/python -m tests.pure_coverage

fuzz: .venv/.dev
	$(BIN)/python -m tests.fuzz --examples $(FUZZ_EXAMPLES) $(FUZZ_ARGS)

faults: .venv/.dev
	$(BIN)/python -m pytest tests/faults -m faults --fault-runs $(FAULT_RUNS) --fault-table docs/faults.md $(PYTEST_ARGS)

soak: needs-soak .venv/.dev
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) $(SOAK_ARGS)

measure-gpu: .venv/.dev
	$(BIN)/python -m tests.measure_gpu figures $(GPU_ARGS)

docs: needs-docs .venv/.dev
	$(BIN)/python -m worker.tools.metrics_page docs/metrics.md
	$(BIN)/python -m deploy.grafana
	$(BIN)/python -m tests.support.import_drawing
	for name in imports event-path; do dot -Tsvg docs/design/$$name.dot -o docs/design/$$name.svg; done

pictures: needs-pictures .venv/.dev
	$(BIN)/python -m tests.deploy.draw --kafka-home $(KAFKA_HOME)

check-deploy: needs-check-deploy .venv/.dev .venv-checkov/.made
	CHECKOV=.venv-checkov/bin/checkov $(BIN)/python -m pytest tests/deploy $(PYTEST_ARGS)

image: needs-image .venv/.dev
	$(BIN)/python -m tests.deploy.image $(IMAGE_ARGS)

# As root. The shell is the first process of namespaces of its own: what is left when it ends, ends with it.
cluster-test: needs-cluster-test image
	unshare --net --mount --pid --fork --kill-child --mount-proc sh -c '"$$@"; exit $$?' - \
		$(BIN)/python -m pytest tests/cluster --cluster --cluster-table docs/cluster.md --need-apache $(CLUSTER_ARGS)

$(NEEDS): needs-%:
	@$(PYTHON) -m tests.needs $*

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-checkov .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.demo .venv/.dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv; the first time this takes some minutes."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(extras)]'
	touch $@

.venv/.demo: extras := demo
.venv/.dev: extras := demo,bench,gpu,openvino,otel,dev

# Apart from the worker's: checkov brings a hundred libraries, some of them older than the worker's own.
.venv-checkov/.made: Makefile
	test -x .venv-checkov/bin/python || $(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet checkov==3.3.30
	touch $@
