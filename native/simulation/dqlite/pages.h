/*
 * A digest of the databases of a node, kept while it applies what is committed.
 *
 * It is made of the pages alone, as commands and snapshots carry them: nothing of SQLite's own state
 * is read. So the state after a snapshot was restored can be held against what the same index came
 * to on the servers that applied every command.
 */
#ifndef DISSEVER_SIMULATION_DQLITE_PAGES_H
#define DISSEVER_SIMULATION_DQLITE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATABASES_MAX = 8, DATABASE_NAME_MAX = 64 };

struct database_pages {
    char name[DATABASE_NAME_MAX];
    uint64_t *digests; /* of page i + 1; 0: it was never written */
    size_t count, capacity;
};

struct pages {
    struct database_pages databases[DATABASES_MAX];
    size_t count;
    bool is_unknown; /* something came that is not understood here: no digest from then on */
};

/* A committed command, as src/command.c encodes it; other commands than frames change nothing. */
void pages_apply(struct pages *pages, const uint8_t *bytes, size_t size);

/* A snapshot, as src/fsm.c encodes it, replaces the databases that are in it. */
void pages_restore(struct pages *pages, const uint8_t *bytes, size_t size);

/* 0: not known. */
uint64_t pages_digest(const struct pages *pages);

void pages_free(struct pages *pages);

/* A command of frames, or what is there of it; `numbers` and `contents` have `count` each. */
struct frames_read {
    const char *database;
    uint64_t count, page_size;
    const uint8_t *numbers;  /* u64 each */
    const uint8_t *contents; /* `page_size` each */
};

/* False: it is no whole command of frames. */
bool frames_read(struct frames_read *frames, const uint8_t *bytes, size_t size);

/* The number of a page that it changes. */
uint64_t frames_page(const struct frames_read *frames, uint64_t i);

#endif
