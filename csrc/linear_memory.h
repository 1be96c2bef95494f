// The memory of linear.h's matrices: of their own, and in large pages. Included by linear.h.

// The bytes of the panels, and of the scales, each filled up to a multiple of 64.
static inline size_t linear_weight_bytes(const Linear *w) {
    return (size_t)(linear_panels(w) * linear_panel(w) * w->columns * linear_bits(w) / 8);
}
static inline size_t linear_scale_bytes(const Linear *w) {
    if (!w->group) return 0;
    int64_t numbers = linear_panels(w) * linear_panel(w) * (w->columns / w->group);
    return ((size_t)numbers * (w->scale_type == TYPE_F16 ? 2 : 4) + 63) / 64 * 64;
}

static inline void linear_free(Linear *w) {
    if (!w->settled) free(w->weights), free(w->scales);
    *w = (Linear){0};
}

// Memory for the kind, sizes, group and type of scale that stand in w. The last panel is zeros: it may have more
// rows than are left.
static inline bool linear_allocate(Linear *w) {
    int64_t panels = linear_panels(w);
    if (w->columns > INT64_MAX / 64 / (panels * linear_panel(w))) return false;
    size_t weights = linear_weight_bytes(w), scales = linear_scale_bytes(w);
    w->path = linear_best_path();
    w->bytes = weights + scales;
    w->weights = aligned_alloc(64, weights);
    if (w->group) w->scales = aligned_alloc(64, scales);
    if (!w->weights || (w->group && !w->scales)) {
        linear_free(w);
        return false;
    }
    size_t last = weights / (size_t)panels;
    memset((char *)w->weights + weights - last, 0, last);
    if (w->group) memset(w->scales, 0, scales);
    return true;
}

// Large chunks of memory for many matrices, in pages of 2 MiB where the system has them. A processor finds where an
// address lies page by page, and looks ahead of what is read within a page: with 4 KiB it reads a tenth slower. A chunk
// begins with the address of the chunk before it. Parts of a chunk that nothing is put in cost no memory.
typedef struct {
    char *chunk, *at;
    size_t left;
} LinearPages;

enum { LINEAR_LARGE_PAGE = 2 << 20, LINEAR_CHUNK = 64 << 20 };

static inline void linear_pages_free(LinearPages *pages) {
    while (pages->chunk) {
        char *before;
        memcpy(&before, pages->chunk, sizeof before);
        free(pages->chunk);
        pages->chunk = before;
    }
    *pages = (LinearPages){0};
}

// `bytes` of them, a multiple of 64. NULL where there is no memory.
static inline void *linear_pages_take(LinearPages *pages, size_t bytes) {
    if (bytes > pages->left) {
        size_t size = bytes + 64 > LINEAR_CHUNK ? bytes + 64 : LINEAR_CHUNK;
        size = (size + LINEAR_LARGE_PAGE - 1) / LINEAR_LARGE_PAGE * LINEAR_LARGE_PAGE;
        char *chunk = aligned_alloc(LINEAR_LARGE_PAGE, size);
        if (!chunk) return NULL;
#ifdef MADV_HUGEPAGE
        madvise(chunk, size, MADV_HUGEPAGE);  // a wish: without it all works
#endif
        memcpy(chunk, &pages->chunk, sizeof pages->chunk);
        *pages = (LinearPages){chunk, chunk + 64, size - 64};
    }
    void *taken = pages->at;
    pages->at += bytes, pages->left -= bytes;
    return taken;
}

// Moves a matrix to these pages, with which it is freed then. Where there is no memory for it, it stays where it is.
static inline void linear_settle(LinearPages *pages, Linear *w) {
    char *to = w->settled ? NULL : linear_pages_take(pages, w->bytes);
    if (!to) return;
    memcpy(to, w->weights, linear_weight_bytes(w));
    if (w->group) memcpy(to + linear_weight_bytes(w), w->scales, linear_scale_bytes(w));
    free(w->weights), free(w->scales);
    w->weights = to, w->scales = w->group ? to + linear_weight_bytes(w) : NULL;
    w->settled = true;
}
