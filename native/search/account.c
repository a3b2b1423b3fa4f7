/*
 * account.c: allocation within a limit (see account.h).
 */
#include "account.h"

#include <stdlib.h>

void *account_resize(struct account *account, void *old, uint64_t old_bytes, uint64_t bytes)
{
    if (bytes > SIZE_MAX || account->used - old_bytes + bytes > account->limit)
        return NULL;
    void *memory = realloc(old, bytes == 0 ? 1 : (size_t)bytes);
    if (memory == NULL)
        return NULL;
    account->used = account->used - old_bytes + bytes;
    if (account->used > account->peak)
        account->peak = account->used;
    return memory;
}

void *account_zeroed(struct account *account, uint64_t bytes)
{
    if (bytes > SIZE_MAX || account->used + bytes > account->limit)
        return NULL;
    void *memory = calloc(1, bytes == 0 ? 1 : (size_t)bytes);
    if (memory == NULL)
        return NULL;
    account->used += bytes;
    if (account->used > account->peak)
        account->peak = account->used;
    return memory;
}

void account_free(struct account *account, void *memory, uint64_t bytes)
{
    if (memory != NULL)
        account->used -= bytes;
    free(memory);
}
