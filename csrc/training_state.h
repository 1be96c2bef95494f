// Everything that a training run remembers, in one file: weights, AdamW's two moments, random numbers, step.
//
// One file and one rename, so that a run that is killed at any moment leaves a state that belongs together. It is a
// safetensors file: tensors model.NAME, m.NAME and v.NAME, and texts in its header: the step, the two numbers of the
// generator, a checksum of all tensors, and the settings with which the run must go on. Floats are kept as they are,
// so the resumed run ends in the very weights that an unbroken one would have had (on the same processor with the same
// number of threads: sums in another order round differently).
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef TRAINING_STATE_H
#define TRAINING_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "gpt.h"
#include "gpt2_folder.h"
#include "rng.h"
#include "safetensors.h"
#include "safetensors_write.h"

// A setting as text, "--steps" and "200": a run that goes on has the same.
typedef struct {
    char name[24], value[40];
} Setting;

typedef struct {
    int64_t step;  // how many are done
    Rng rng;       // of the batches
} Progress;

static const char *const STATE_PARTS[] = {"model", "m", "v"};
enum { STATE_NAME = sizeof "model." + sizeof ((GptTensor *)0)->name };

// Where the numbers of a tensor lie in one of the three blocks of memory.
static inline float *state_place(const Gpt *g, int part, const GptTensor *t) {
    float *blocks[] = {g->data, g->m, g->v};
    return blocks[part] + (t->data - g->data);
}

// A number for all tensors, in their order, and the progress: another one where a single bit is another (FNV-1a).
static inline uint64_t state_checksum(const Gpt *g, const Progress *p) {
    const uint64_t prime = 0x100000001B3u;
    uint64_t hash = 0xCBF29CE484222325u;
    hash = (((hash ^ (uint64_t)p->step) * prime ^ p->rng.state) * prime ^ p->rng.inc) * prime;
    for (int part = 0; part < 3; part++)
        for (int64_t i = 0; i < g->tensor_count; i++) {
            const float *numbers = state_place(g, part, &g->tensors[i]);
            for (int64_t k = 0, n = gpt_tensor_numbers(&g->tensors[i]); k < n; k++) {
                uint32_t bits;
                memcpy(&bits, numbers + k, sizeof bits);
                hash = (hash ^ bits) * prime;
            }
        }
    return hash;
}

// Writes the state to `path`.
static inline bool state_write(const Gpt *g, const Progress *progress, const Setting *settings, size_t setting_count,
                               const char *path, Error *e) {
    size_t count = 3 * (size_t)g->tensor_count, pairs = setting_count + 4;
    char(*names)[STATE_NAME] = malloc(count * sizeof *names), numbers[4][24];
    NamedTensor *tensors = malloc(count * sizeof *tensors);
    Metadata *about = malloc(pairs * sizeof *about);
    bool good = (names && tensors && about) || fault(e, "not enough memory to write %s", path);
    for (size_t i = 0; i < count && good; i++) {
        int part = (int)(i / (size_t)g->tensor_count);
        const GptTensor *t = &g->tensors[i % (size_t)g->tensor_count];
        snprintf(names[i], sizeof names[i], "%s.%s", STATE_PARTS[part], t->name);
        tensors[i] = (NamedTensor){names[i], t->dimensions, {t->shape[0], t->shape[1]}, state_place(g, part, t)};
    }
    if (good) {
        const char *keys[] = {"step", "rng.state", "rng.inc", "checksum"};
        const uint64_t values[] = {(uint64_t)progress->step, progress->rng.state, progress->rng.inc,
                                   state_checksum(g, progress)};
        for (size_t i = 0; i < 4; i++) {
            snprintf(numbers[i], sizeof numbers[i], "%" PRIu64, values[i]);
            about[i] = (Metadata){keys[i], numbers[i]};
        }
        for (size_t i = 0; i < setting_count; i++) about[4 + i] = (Metadata){settings[i].name, settings[i].value};
        good = safetensors_write(path, tensors, count, about, pairs, e);
    }
    free(names), free(tensors), free(about);
    return good;
}

// A whole number that stands as text in the header.
static inline bool state_number(const JsonNode *about, const char *key, uint64_t *value) {
    const JsonNode *node = json_get(about, key);
    char *end = NULL;
    errno = 0;
    if (!node || node->kind != JSON_STRING || node->text[0] < '0' || node->text[0] > '9') return false;
    *value = strtoull(node->text, &end, 10);
    return *end == '\0' && errno == 0;
}

// Whether the file belongs to a run with these settings.
static inline bool state_agrees(const JsonNode *about, const Setting *settings, size_t count, const char *path,
                                Error *e) {
    for (size_t i = 0; i < count; i++) {
        const JsonNode *node = json_get(about, settings[i].name);
        if (!node || node->kind != JSON_STRING)
            return fault(e, "%s is no training state of this program; remove it and start without --resume", path);
        if (!json_is(node, settings[i].value))
            return fault(e, "%s belongs to a run with %s %.60s, not %s; resume with the same settings or choose "
                            "another --out", path, settings[i].name, node->text, settings[i].value);
    }
    return true;
}

// Fills the three blocks; false without a word where a tensor is not as it should be.
static inline bool state_tensors(Gpt *g, const Safetensors *file) {
    for (int part = 0; part < 3; part++)
        for (int64_t i = 0; i < g->tensor_count; i++) {
            char name[STATE_NAME];
            const GptTensor *t = &g->tensors[i];
            snprintf(name, sizeof name, "%s.%s", STATE_PARTS[part], t->name);
            const TensorView *found = find_tensor(file, name);
            if (!tensor_fits(found, t, name, "", NULL) || found->type != TYPE_F32) return false;
            memcpy(state_place(g, part, t), found->data, found->bytes);
        }
    return true;
}

// Puts the state in `path` back; a fault where it is damaged or belongs to another run.
static inline bool state_read(Gpt *g, Progress *progress, const Setting *settings, size_t count, const char *path,
                              Error *e) {
    Safetensors file;
    uint64_t step = 0, checksum = 0;
    if (!safetensors_open(&file, path, e)) return false;
    const JsonNode *about = json_get(file.header.nodes, "__metadata__");
    bool good = state_agrees(about, settings, count, path, e);
    if (good) {
        good = state_number(about, "step", &step) && state_number(about, "rng.state", &progress->rng.state) &&
               state_number(about, "rng.inc", &progress->rng.inc) && state_number(about, "checksum", &checksum) &&
               step <= INT64_MAX && state_tensors(g, &file);
        progress->step = (int64_t)step;
        good = good && state_checksum(g, progress) == checksum;
        if (!good) fault(e, "%s is damaged; remove it and start again without --resume", path);
    }
    safetensors_close(&file);
    return good;
}

#endif
