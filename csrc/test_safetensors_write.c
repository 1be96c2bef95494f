// safetensors_write.h and atomic_file.h: what is written is read back by safetensors.h, number for number; a file that
// cannot be written leaves the old one; no part of a file stays behind.

#define _POSIX_C_SOURCE 200809L

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rng.h"
#include "safetensors.h"
#include "safetensors_write.h"

#undef NDEBUG

static char folder[] = "/tmp/test_safetensors_XXXXXX", path[300];

static const char *in_folder(const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void) {
    int count = 0;
    DIR *d = opendir(folder);
    assert(d);
    for (struct dirent *entry; (entry = readdir(d));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(d);
    return count;
}

static size_t file_size(const char *name) {
    struct stat about;
    assert(stat(name, &about) == 0);
    return (size_t)about.st_size;
}

// Random tensors, some without a single number, under names of every length: the header has to be filled up
// differently each time.
static void test_round_trip(void) {
    Rng rng = rng_seed(3);
    Error e;
    for (int round = 0; round < 60; round++) {
        enum { MOST = 6, NUMBERS = 64 };
        float numbers[MOST][NUMBERS];
        char names[MOST][40];
        NamedTensor tensors[MOST];
        size_t count = rng_below(&rng, MOST + 1);
        for (size_t i = 0; i < count; i++) {
            int dimensions = 1 + (int)rng_below(&rng, 2);
            snprintf(names[i], sizeof names[i], "%zu%.*s", i, round % 20, "abcdefghijklmnopqrstuvwxyz");
            tensors[i] = (NamedTensor){names[i], dimensions, {rng_below(&rng, 9), rng_below(&rng, 8)}, numbers[i]};
            for (int k = 0; k < NUMBERS; k++) numbers[i][k] = (float)rng_normal(&rng);
        }
        if (count > 0) numbers[0][0] = NAN;  // kept as they are, whatever they are
        char value[40];
        snprintf(value, sizeof value, "%d \"quoted\" \\ \n \x01 \xC3\xA9", round);
        Metadata about[] = {{"format", "pt"}, {"a \"key\"", value}};
        assert(safetensors_write(in_folder("a.safetensors"), tensors, count, about, 2, &e));

        Safetensors file;
        assert(safetensors_open(&file, path, &e));
        uint64_t header;
        memcpy(&header, file.file.data, 8);
        assert((8 + header) % 8 == 0 && file.count == count);
        const JsonNode *metadata = json_get(file.header.nodes, "__metadata__");
        assert(json_is(json_get(metadata, "format"), "pt") && json_is(json_get(metadata, "a \"key\""), value));
        for (size_t i = 0; i < count; i++) {
            const TensorView *t = NULL;
            for (size_t k = 0; k < file.count; k++)
                if (strcmp(file.tensors[k].name, names[i]) == 0) t = &file.tensors[k];
            assert(t && t->type == TYPE_F32 && t->dimensions == tensors[i].dimensions);
            assert(t->shape[0] == tensors[i].shape[0] && (t->dimensions == 1 || t->shape[1] == tensors[i].shape[1]));
            assert((int64_t)t->bytes == 4 * tensor_numbers(&tensors[i]));
            assert(memcmp(t->data, numbers[i], t->bytes) == 0);
        }
        safetensors_close(&file);
    }
    assert(files_in_folder() == 1);
}

static void test_what_cannot_be_written(void) {
    Error e;
    float number = 1;
    NamedTensor tensor = {"x", 1, {1, 1}, &number};
    assert(write_atomic(in_folder("b"), "old", 3, &e) && file_size(path) == 3);
    assert(write_atomic(path, "newer", 5, &e) && file_size(path) == 5 && write_atomic(path, "", 0, &e));
    assert(file_size(path) == 0);

    assert(!safetensors_write(in_folder("nowhere/x"), &tensor, 1, NULL, 0, &e) && strstr(e.text, "nowhere/x cannot"));
    assert(mkdir(in_folder("taken"), 0777) == 0);  // a rename cannot replace a folder
    assert(!safetensors_write(path, &tensor, 1, NULL, 0, &e) && strstr(e.text, "taken cannot be written"));
    int before = files_in_folder();
    AtomicFile file;
    assert(atomic_begin(&file, in_folder("b"), &e) && atomic_write(&file, "half", 4, &e));
    assert(files_in_folder() == before + 1 && !atomic_end(&file, false, &e));  // given up
    assert(files_in_folder() == before && file_size(in_folder("b")) == 0);
    assert(rmdir(in_folder("taken")) == 0);
}

static void test_folders(void) {
    Error e;
    assert(make_folders(in_folder("c"), &e) && make_folders(path, &e) && make_folders(in_folder("c/d/e/"), &e));
    assert(write_atomic(in_folder("c/d/e/f"), "x", 1, &e));
    assert(!make_folders(in_folder("c/d/e/f"), &e) && strstr(e.text, "c/d/e/f cannot be made"));
    assert(!make_folders(in_folder("c/d/e/f/g"), &e) && !make_folders("", &e));
    const char *names[] = {"c/d/e/f", "c/d/e", "c/d", "c", "b", "a.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert(remove(in_folder(names[i])) == 0);
}

int main(void) {
    assert(mkdtemp(folder));
    test_round_trip();
    test_what_cannot_be_written();
    test_folders();
    assert(rmdir(folder) == 0);
    return 0;
}
