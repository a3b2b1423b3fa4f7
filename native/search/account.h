/*
 * account.h: the bytes that one search holds, kept below a limit.
 *
 * Every allocation of a search goes through an account, so its budget of bytes is never passed.
 * Units: bytes. Memory is given back with the size that it was asked for with. Errors: NULL past
 * the limit or without memory, with the account as it was. Time: that of malloc.
 */
#ifndef DISSEVER_ACCOUNT_H
#define DISSEVER_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

/* `used` is never above `limit`; `peak` is the greatest value that it had. */
struct account {
    uint64_t used;
    uint64_t peak;
    uint64_t limit;
};

/* A growing array: what it holds, and the bytes of an item. It belongs to who fills it. */
struct growing {
    struct account *account;
    void *items;
    uint32_t count;
    uint32_t capacity; /* at most GROWING_MAX */
    uint64_t size;
};

#define GROWING_MAX (UINT32_C(1) << 31)

/* realloc from old_bytes to bytes. On NULL `old` is left as it was. */
void *account_resize(struct account *account, void *old, uint64_t old_bytes, uint64_t bytes);

/* Zeros. */
void *account_zeroed(struct account *account, uint64_t bytes);

/* Give back; `memory` may be NULL. */
void account_free(struct account *account, void *memory, uint64_t bytes);

/* One item more, not set, to be filled before the next call; NULL past the limits. */
void *growing_add(struct growing *growing);

/* Leaves it empty. May be called again. */
void growing_free(struct growing *growing);

#endif
