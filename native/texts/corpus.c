/*
 * corpus.c: what is added and returned, gathered and sorted (see corpus.h).
 */
#include "corpus.h"

/* By merging: runs of 1, 2, 4 and so on. */
void pieces_sort(struct piece *pieces, struct piece *scratch, int32_t n)
{
    for (int32_t run = 1; run < n; run *= 2) {
        for (int32_t start = 0; start < n - run; start += 2 * run) {
            int32_t middle = start + run, end = n - middle > run ? middle + run : n;
            if (piece_compare(&pieces[middle - 1], &pieces[middle]) <= 0)
                continue;
            memcpy(scratch, pieces + start, sizeof *pieces * (size_t)run);
            int32_t left = 0, right = middle, to = start;
            while (left < run && right < end)
                pieces[to++] = piece_compare(&scratch[left], &pieces[right]) <= 0 ? scratch[left++]
                                                                            : pieces[right++];
            memcpy(pieces + to, scratch + left, sizeof *pieces * (size_t)(run - left));
        }
        if (run > INT32_MAX / 4)
            break;
    }
}

void corpus_forget_numbers(struct texts *texts, const struct texts_key *key)
{
    for (int32_t i = 0; i < key->n; i++)
        *number_of(texts, key, i) = 0;
}

/* What was added that stands at the beginning of some bytes: the last that is not after them. */
static const struct piece *find_added(const struct texts *texts, const uint8_t *bytes,
                                      size_t length)
{
    struct piece wanted = {piece_head(bytes, length), bytes, length, -1};
    int32_t low = 0, high = texts->n_added;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (piece_compare(&texts->added[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !piece_begins(&texts->added[low - 1], bytes, length))
        return NULL;
    return &texts->added[low - 1];
}

int32_t corpus_find_group(const struct texts *texts, const struct piece *answer, size_t from)
{
    const struct piece *piece = find_added(texts, answer->bytes + from, answer->length - from);
    return piece == NULL ? -1 : (int32_t)(piece - texts->added);
}

/* The pieces that stand for puts or for appends, in the order of invocation. */
static void gather_kind(struct texts *texts, const struct texts_key *key, enum kind kind)
{
    for (int32_t i = 0; i < key->n; i++)
        if (kind_at(texts, key, i) == kind)
            texts->added[texts->n_added++] = piece_of(texts, value_at(texts, key, i), i);
}

/* Make groups of equal pieces that are in order; a piece then names its group. */
static void group_added(struct texts *texts, const struct texts_key *key)
{
    int32_t n = texts->n_added;
    texts->n_added = 0;
    for (int32_t p = 0; p < n; p++) {
        struct piece piece = texts->added[p];
        struct piece *last = &texts->added[texts->n_added - 1];
        struct group *group = &texts->groups[texts->n_added - 1];
        texts->members[p] = piece.operation;
        if (texts->n_added == 0 || piece_compare(last, &piece) != 0) {
            group++;
            *group = (struct group){p, 0, 0, 0};
            texts->added[texts->n_added++] = piece;
        }
        bool is_append = piece.operation >= 0 && kind_at(texts, key, piece.operation) == APPEND;
        group->n_puts += !is_append;
        group->n_appends += is_append;
        if (piece.operation >= 0)
            texts->group_of[piece.operation] = texts->n_added - 1;
    }
}

bool corpus_gather_added(struct texts *texts, const struct texts_key *key)
{
    texts->n_added = 0;
    if (texts->options->initial_bytes > 0)
        texts->added[texts->n_added++] = initial_piece(texts);
    gather_kind(texts, key, PUT);
    gather_kind(texts, key, APPEND);
    for (int32_t p = 0; p < texts->n_added; p++) {
        struct piece *piece = &texts->added[p];
        if (piece->length == 0)
            return false;
        piece->head = piece_head(piece->bytes, piece->length);
    }
    pieces_sort(texts->added, texts->scratch, texts->n_added);
    group_added(texts, key);
    for (int32_t p = 1; p < texts->n_added; p++)
        if (piece_begins(&texts->added[p - 1], texts->added[p].bytes, texts->added[p].length))
            return false;
    return true;
}

bool corpus_gather_answers(struct texts *texts, const struct texts_key *key,
                           struct witness *witness)
{
    texts->n_answers = 0;
    texts->first_group = -1;
    for (int32_t i = 0; i < key->n; i++) {
        if (kind_at(texts, key, i) != GET || *number_of(texts, key, i) != 0)
            continue;
        if (!is_text(texts, value_at(texts, key, i))) {
            witness->reason = KEYS_PHANTOM;
            witness_add(witness, i);
            return false;
        }
        struct piece *piece = &texts->answers[texts->n_answers++];
        *piece = piece_of(texts, value_at(texts, key, i), i);
        piece->head = piece->length;
        *number_of(texts, key, i) = 1;
        int32_t group = corpus_find_group(texts, piece, 0);
        if (group >= 0 && texts->groups[group].n_puts == 0 && texts->options->initial_bytes == 0) {
            texts->first_group = group;
            texts->first_get = i;
        }
    }
    pieces_sort(texts->answers, texts->scratch, texts->n_answers);
    return true;
}
