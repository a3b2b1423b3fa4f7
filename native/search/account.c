/*
 * account.c: allocation within a limit (see account.h).
 */
#include "account.h"

#include <stdlib.h>

/* Take memory up that makes for `used` bytes, unless there is none. */
static void *noted(struct account *account, void *memory, uint64_t used)
{
    if (memory == NULL)
        return NULL;
    account->used = used;
    account->peak = used > account->peak ? used : account->peak;
    return memory;
}

void *account_resize(struct account *account, void *old, uint64_t old_bytes, uint64_t bytes)
{
    uint64_t used = account->used - old_bytes + bytes;
    if (bytes > SIZE_MAX || used > account->limit)
        return NULL;
    return noted(account, realloc(old, bytes == 0 ? 1 : (size_t)bytes), used);
}

void *account_zeroed(struct account *account, uint64_t bytes)
{
    if (bytes > SIZE_MAX || account->used + bytes > account->limit)
        return NULL;
    return noted(account, calloc(1, bytes == 0 ? 1 : (size_t)bytes), account->used + bytes);
}

void account_free(struct account *account, void *memory, uint64_t bytes)
{
    if (memory != NULL)
        account->used -= bytes;
    free(memory);
}

void *growing_add(struct growing *growing)
{
    if (growing->count == growing->capacity) {
        uint32_t capacity = growing->capacity == 0 ? 64 : growing->capacity * 2;
        if (capacity > GROWING_MAX)
            return NULL;
        void *items = account_resize(growing->account, growing->items,
                                     growing->size * growing->capacity,
                                     growing->size * capacity);
        if (items == NULL)
            return NULL;
        growing->items = items;
        growing->capacity = capacity;
    }
    return (char *)growing->items + growing->size * growing->count++;
}

void growing_free(struct growing *growing)
{
    account_free(growing->account, growing->items, growing->size * growing->capacity);
    growing->items = NULL;
    growing->count = growing->capacity = 0;
}
