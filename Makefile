# The Storyteller course. `make help` lists what there is to make.

# Each chapter's scripts in the order of its lesson, a script with its flags in quotes; none: not written yet.
bigram       := letters.py by_hand.py bigram.py layer.py ngram.py
micrograd    := micrograd.py graph.py train.py tensorgrad.py names.py language.py
mlp          := by_hand.py mlp.py strided.py tensor.py matmul.py fit.py functions.py in_c.py mlp_torch.py widths.py \
                through_time.py rnn.py
attention    := by_hand.py attention.py softmax.py positions.py flash.py language.py maps.py induction.py \
                linear_attention.py lightning.py recall.py
transformer  := by_hand.py gpt2.py changes.py model.py variants.py ablations.py data.py train.py checkpoint.py sample.py \
                in_c.py experts.py moe.py mixtral.py family_parts.py objectives.py bert.py t5.py family_table.py families.py \
                stream.py gpt2_124m.py "bench.py --quick"
tokenization := strings.py basic.py patterns.py bpe.py vocabulary.py in_c.py \
                "unicode_table.py --out out/tokenization/unicode.h" "bench.py --quick"
optimization :=
device       :=
precision    :=
distributed  :=
datasets     := english.py names.py people.py places.py things.py words.py templates.py thesaurus.py events.py \
                storyland.py questions.py roll_call.py strict_reader.py synthesize.py plain.py clean.py dedup.py prepare.py shards.py loader.py rename.py
inference    := by_hand.py kv_cache.py sampling.py model.py generate.py paged.py batching.py engine.py draft.py \
                speculative.py expression.py automaton.py schema.py structured.py "bench.py --quick"
quantization := by_hand.py quantize.py store.py activations.py calibration.py gptq.py awq.py nf4.py cache.py qat.py \
                gguf_file.py export.py kernels.py "bench.py --quick"
sft          :=
rl           :=
deployment   := by_hand.py blocking.py shelf.py evaluate.py "app.py --check"
multimodal   :=

CHAPTERS := bigram micrograd mlp attention transformer tokenization optimization device precision \
            distributed datasets inference quantization sft rl deployment multimodal
PORT ?= 8000
PYTHON ?= python3
VENV := .venv/bin/python

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := app
.PHONY: app setup csrc test course help clean $(CHAPTERS)

app: setup csrc
	@$(VENV) deployment/app.py --port $(PORT)

help:
	@echo 'make            set up, build the C code, start the app at http://127.0.0.1:$(PORT)'
	@echo '                (make PORT=8001 for another port)'
	@echo 'make setup      the virtual environment in .venv and what requirements.txt lists; quick when it is there'
	@echo 'make test       all tests'
	@echo 'make course     every chapter, its scripts in order; what they write lies in out/'
	@echo 'make CHAPTER    one chapter: $(wordlist 1,9,$(CHAPTERS))'
	@echo '                $(wordlist 10,17,$(CHAPTERS))'
	@echo '                (make deployment starts the app)'
	@echo 'make clean      removes out/ and csrc/build/, but never .venv or the stories on the shelf'

# .venv/requirements.txt is a copy of what was installed, written last: whatever stopped an earlier set-up,
# the next one goes on where it must.
setup:
	@if cmp -s requirements.txt .venv/requirements.txt && $(VENV) -c '' 2>/dev/null; then exit 0; fi; \
	set -e; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'error: $(PYTHON) must be Python 3.11 or newer; name another: make PYTHON=python3.12' >&2; exit 2; }; \
	if ! $(VENV) -m pip --version >/dev/null 2>&1; then \
	    echo 'making the virtual environment .venv'; \
	    $(PYTHON) -m venv --clear .venv || \
	    { echo 'error: $(PYTHON) cannot make .venv (Debian, Ubuntu: install python3-venv)' >&2; exit 2; }; \
	fi; \
	echo 'installing requirements.txt into .venv'; \
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV) -m pip install --no-input -r requirements.txt; \
	cp requirements.txt .venv/requirements.tmp; \
	mv .venv/requirements.tmp .venv/requirements.txt; \
	echo 'set up: .venv is ready'

# The C code is a part of some lessons; without a compiler everything else works.
csrc:
	@if command -v $(CC) >/dev/null; then $(MAKE) -C csrc; else \
	    echo 'no C compiler ($(CC)): the C code is not built (Debian, Ubuntu: install gcc)'; fi

test: setup csrc
	$(VENV) -m pytest -n auto --maxprocesses 4 --dist loadgroup

# Runs a chapter's scripts, $(1), with a line before and after each; stops at the first that fails.
define run_scripts
@for script in $($(1)); do \
    printf '\n== python %s\n\n' "$(1)/$$script"; start=$$(date +%s); \
    $(VENV) $(1)/$$script || { printf '\n== python %s failed\n' "$(1)/$$script" >&2; exit 1; }; \
    printf '\n== python %s took %s s\n' "$(1)/$$script" $$(($$(date +%s) - start)); \
done
endef

WRITTEN := $(strip $(foreach chapter,$(CHAPTERS),$(if $($(chapter)),$(chapter))))

course: setup csrc
	$(foreach chapter,$(WRITTEN),$(call run_scripts,$(chapter))$(newline))
	@printf '\n== the course ran: $(WRITTEN)\n'

define newline


endef

deployment: app

$(filter-out deployment,$(WRITTEN)): setup csrc
	$(call run_scripts,$@)

$(filter-out $(WRITTEN),$(CHAPTERS)):
	@echo '$@ is not written yet'

clean:
	rm -rf csrc/build
	@mkdir -p out/deployment
	find out -mindepth 1 -maxdepth 1 ! -name deployment -exec rm -rf {} +
	find out/deployment -mindepth 1 -maxdepth 1 ! -name 'shelf*' -exec rm -rf {} +
	@find out -depth -type d -empty -exec rmdir {} +
