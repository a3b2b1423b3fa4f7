/*
 * replay.c: an order of operations on a text, done step by step (texts_replay).
 *
 * Why it exists: it judges the orders that zones and the search find, in the same process. It
 * writes the text out and compares bytes, and uses no state, block or number of theirs.
 */
#include <stdlib.h>

#include "corpus.h"

/* Add to what is held. Returns 0, or -1 past `limit`. */
static int hold(struct texts *texts, size_t held, const struct piece *more, uint64_t limit)
{
    size_t needed = 2 * (held + more->length); /* so that it seldom moves */
    if (needed > limit)
        return -1;
    texts->held_most = needed > texts->held_most ? needed : texts->held_most;
    if (held + more->length > texts->held_capacity) {
        uint8_t *bytes = realloc(texts->held, needed);
        if (bytes == NULL)
            return -1;
        texts->held = bytes;
        texts->held_capacity = needed;
    }
    if (more->length > 0)
        memcpy(texts->held + held, more->bytes, more->length);
    return 0;
}

int32_t texts_replay(struct texts *texts, const struct texts_key *key, const int32_t *order,
                     int32_t length, uint64_t max_bytes)
{
    struct piece initial = initial_piece(texts);
    int32_t *seen = key->buckets, greatest_inv = -1, n_missing = 0;
    size_t held = initial.length;
    memset(seen, 0, sizeof(int32_t) * (size_t)key->n);
    if (hold(texts, 0, &initial, max_bytes) != 0)
        return -1;
    for (int32_t at = 0; at < length; at++) {
        int32_t i = order[at];
        if (i < 0 || i >= key->n || seen[i] || key->ret[i] < greatest_inv)
            return 0;
        seen[i] = 1;
        greatest_inv = key->inv[i] > greatest_inv ? key->inv[i] : greatest_inv;
        enum kind kind = kind_at(texts, key, i);
        int32_t value = value_at(texts, key, i);
        if (!is_text(texts, value))
            return 0;
        struct piece piece = piece_of(texts, value, i);
        if (kind == GET) {
            if (piece.length != held || (held > 0 && memcmp(piece.bytes, texts->held, held) != 0))
                return 0;
            continue;
        }
        if (kind == PUT)
            held = 0;
        if (hold(texts, held, &piece, max_bytes) != 0)
            return -1;
        held += piece.length;
    }
    for (int32_t i = 0; i < key->n; i++)
        n_missing += !seen[i] && key->ret[i] != ZONES_NEVER;
    return n_missing == 0;
}
