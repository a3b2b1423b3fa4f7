/*
 * versions.h: the versions of one register, which follow each other (see versions.c).
 */
#ifndef DISSEVER_TRANSACTIONS_VERSIONS_H
#define DISSEVER_TRANSACTIONS_VERSIONS_H

#include "paths.h"
#include "registers.h"

/* The key at hand, and room for the largest one. */
struct versions {
    struct engine *engine;
    struct paths *paths;
    int32_t key, first, end;
    struct succession *successions;
    int64_t successions_n, successions_capacity;
    int32_t *depth;   /* by place of the entry: versions before it, for certain */
    int32_t *start;   /* by place of a version, those of INITIAL_VERSION at the end */
    int32_t *readers; /* operations by version; start has where each begins */
    int32_t *block;   /* by version in `nodes`: where its operations begin in `members` */
    int32_t *members;
    int32_t *targets;
    int32_t *nodes;   /* entries of versions */
    int32_t nodes_n;
    int64_t entries_max;
};

/* Room for every key; false without memory, which versions_close is for as well. */
bool versions_open(struct versions *versions, struct engine *engine);
void versions_close(struct versions *versions);

/* The versions of a key, of transactions that count. */
void versions_begin(struct versions *versions, int32_t key);

/* Blocks of the versions in `nodes`: who wrote it, and who read it if asked for. */
void versions_block(struct versions *versions, bool has_readers);

/* A succession for each version behind another one that is behind none of those in between.
 * Returns how many pairs are in order, or -1 without memory. */
int64_t versions_follow(struct versions *versions);

/* The readers of each version before those who write the next ones. 0 or -1 without memory. */
int32_t versions_put_rw(struct versions *versions);

#endif
