# hanoi-health-graph: everything a developer or an operator trying it out needs. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
JOBS ?= 2

.PHONY: help install demo test check format bench sdl requirements clean
.DEFAULT_GOAL := help

help: ## Danh sách lệnh. This list.
	@grep -hE '^[a-z]+:.*?## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

install: $(STAMP) ## Cài môi trường vào .venv, mọi gói đều kiểm mã băm. Everything into .venv, hashes checked.

$(STAMP): requirements.txt requirements-uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Cần Python 3.11 trở lên / Python 3.11 or newer is needed (PYTHON=... make)"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { echo "Thiếu python3-venv / the venv module is missing: install python3-venv"; exit 1; }
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --python $(RUN) --require-hashes requirements.txt || { \
	  echo "uv không tải được, dùng pip / uv could not download, using pip"; \
	  $(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt; }
	@$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP) ## Năm bệnh viện, một câu hỏi. Five hospitals, one query; EXIT=1, FORMAT=json, PORT=n.
	@$(RUN) -m compose.demo.run $(if $(EXIT),--exit) $(if $(FORMAT),--format $(FORMAT)) $(if $(PORT),--port $(PORT))

check: $(STAMP) ## Kiểm mã: ruff, mypy, hợp đồng import. Lint, types, import contracts.
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

test: check ## Mọi kiểm thử. Everything: check, then all tests.
	@$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

format: $(STAMP) ## Định dạng mã. Format the code.
	@$(VENV)/bin/ruff check --fix-only --quiet . ; $(VENV)/bin/ruff format --quiet .

bench: $(STAMP) ## Đo CPU mỗi câu hỏi. CPU per query, beside a floor program.
	@$(RUN) -m benchmarks.run

sdl: $(STAMP) ## In lại lược đồ. Print both schemas into schema/.
	@$(RUN) -m schema.sdl

requirements: $(STAMP) ## Tính lại tệp gói có mã băm. Recompute the hashed requirement files.
	@$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --extra test pyproject.toml -o requirements.txt
	@echo "uv==0.13.9" | $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 - -o requirements-uv.txt

clean: ## Xoá .venv và .demo. Remove what make made.
	@rm -rf $(VENV) .demo
