/*
 * corpus.h: the texts of one key: what was added to them, and what gets were told.
 */
#ifndef DISSEVER_CORPUS_H
#define DISSEVER_CORPUS_H

#include <stdint.h>

#include "pieces.h"
#include "texts.h"
#include "zones.h"

enum kind { GET, PUT, APPEND, KINDS };

/* A put or the initial text, and what is known to follow. */
struct block {
    const uint8_t *bytes; /* the longest text told of it so far */
    size_t length;
    int32_t state;
    int32_t get; /* that was told it, or -1 */
};

/* Equal texts: puts, then appends, each by invocation, from `first` on in `members`. */
struct group {
    int32_t first;
    int32_t n_puts; /* the initial text counts as one */
    int32_t n_appends;
    int32_t n_told; /* states that such an append leads to */
};

/* What a block holds at one time, or what nobody was told. */
struct state {
    int32_t root;   /* the first state of its block */
    int32_t parent; /* before the append that leads here, or -1 */
    int32_t group;  /* of that append, or -1 */
    int32_t after;  /* it cannot have returned by here */
    int32_t before; /* it must have been invoked by here */
};

/* A state of the search: the beginning of a get, in the order of bytes, or APART. */
struct place {
    int32_t get;
    size_t length;
};

struct texts {
    const struct columns *columns;
    struct texts_model model;
    int32_t *want;           /* by operation: states */
    int32_t *make;
    int32_t *group_of;       /* by operation that adds a text */
    struct state *states;
    struct zones_value *values; /* by state */
    struct block *blocks;    /* by state that is a root */
    struct piece *added;     /* what puts and appends add, in order of bytes, each once */
    struct group *groups;    /* by piece of `added` */
    int32_t *members;        /* operations by group; -1 for the initial text */
    struct piece *told;      /* what gets were told, each once */
    struct piece *scratch;
    int32_t *numbers;        /* by value and kind: 1 + state, or 1 + transition; else 0 */
    int32_t n_added;
    int32_t n_told;
    int32_t n_states;
    int32_t n_told_states;   /* those that were told, and of puts; they are the first */
    int32_t first_group;     /* what surely follows an empty initial text, or -1 */
    int32_t first_get;       /* that was told so */
    bool has_guessed;        /* which block a text belongs to */

    int32_t *transition;     /* by operation */
    struct piece *asked;     /* by transition */
    uint8_t *kinds;
    int32_t *leads;          /* by transition: the state of a get or after a put */
    uint8_t *pure;
    int32_t n_transitions;
    struct place *places;    /* by state */
    int32_t *buckets;        /* of their hash table: 1 + state; half of them are free */
    int32_t n_places;
    int32_t places_capacity; /* a power of two */
    int32_t *next;           /* the table of all states, or NULL */
    uint64_t places_limit;   /* bytes of places and that table */

    uint8_t *held;           /* of the replay */
    size_t held_capacity;
    size_t held_most;        /* that this key needed */
    void *block;             /* all that has room for the largest key */
    size_t block_bytes;
};

static bool is_text(const struct texts *texts, int32_t value)
{
    return texts->model.values->tags[value] == LOAD_TEXT;
}

static struct piece piece_of(const struct texts *texts, int32_t value, int32_t operation)
{
    const uint8_t *at = texts->model.values->bytes + texts->model.values->words[value];
    uint32_t length;
    memcpy(&length, at, sizeof length);
    return (struct piece){0, at + sizeof length, length, operation};
}

static enum kind kind_of(const struct texts *texts, int32_t f)
{
    const struct texts_model *model = &texts->model;
    return f == model->get ? GET : f == model->put ? PUT : f == model->append ? APPEND : KINDS;
}

static enum kind kind_at(const struct texts *texts, const struct texts_key *key, int32_t i)
{
    return kind_of(texts, texts->columns->f[key->calls[i]]);
}

static int32_t value_at(const struct texts *texts, const struct texts_key *key, int32_t i)
{
    int32_t operation = key->calls[i];
    return kind_at(texts, key, i) == GET ? texts->columns->value_out[operation]
                                         : texts->columns->value_in[operation];
}

static int32_t *number_of(struct texts *texts, const struct texts_key *key, int32_t i)
{
    return &texts->numbers[KINDS * (size_t)value_at(texts, key, i) + kind_at(texts, key, i)];
}

static void forget_numbers(struct texts *texts, const struct texts_key *key)
{
    for (int32_t i = 0; i < key->n; i++)
        *number_of(texts, key, i) = 0;
}

static void accuse(struct texts_witness *witness, int32_t operation)
{
    if (operation < 0 || witness->n_operations == TEXTS_WITNESS_MAX)
        return;
    for (int32_t i = 0; i < witness->n_operations; i++)
        if (witness->operations[i] == operation)
            return;
    witness->operations[witness->n_operations++] = operation;
}

static bool is_repeated(const struct group *group)
{
    return group->n_told > 0 && group->n_appends > 1;
}

/* What was added that stands at the beginning of some bytes: the last that is not after them. */
static const struct piece *find_added(const struct texts *texts, const uint8_t *bytes, size_t length)
{
    struct piece wanted = {head_of(bytes, length), bytes, length, -1};
    int32_t low = 0, high = texts->n_added;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (compare_pieces(&texts->added[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !is_prefix(&texts->added[low - 1], bytes, length))
        return NULL;
    return &texts->added[low - 1];
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
        if (texts->n_added == 0 || compare_pieces(last, &piece) != 0) {
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

/* Gather what was added. Returns whether texts can be taken apart in one way alone. */
static bool gather_added(struct texts *texts, const struct texts_key *key)
{
    const struct texts_model *model = &texts->model;
    texts->n_added = 0;
    if (model->initial_bytes > 0)
        texts->added[texts->n_added++] =
            (struct piece){0, model->initial, model->initial_bytes, -1};
    gather_kind(texts, key, PUT);
    gather_kind(texts, key, APPEND);
    for (int32_t p = 0; p < texts->n_added; p++) {
        struct piece *piece = &texts->added[p];
        if (piece->length == 0)
            return false;
        piece->head = head_of(piece->bytes, piece->length);
    }
    sort_pieces(texts->added, texts->scratch, texts->n_added);
    group_added(texts, key);
    for (int32_t p = 1; p < texts->n_added; p++)
        if (is_prefix(&texts->added[p - 1], texts->added[p].bytes, texts->added[p].length))
            return false;
    return true;
}

/* The group that stands somewhere in what a get was told, or -1. */
static int32_t find_group(const struct texts *texts, const struct piece *told, size_t from)
{
    const struct piece *piece = find_added(texts, told->bytes + from, told->length - from);
    return piece == NULL ? -1 : (int32_t)(piece - texts->added);
}

/*
 * Gather what was told, the shortest first, and what is known to follow the initial text where
 * that is empty. Returns whether all of it is text; else a witness.
 */
static bool gather_told(struct texts *texts, const struct texts_key *key,
                        struct texts_witness *witness)
{
    texts->n_told = 0;
    texts->first_group = -1;
    for (int32_t i = 0; i < key->n; i++) {
        if (kind_at(texts, key, i) != GET || *number_of(texts, key, i) != 0)
            continue;
        if (!is_text(texts, value_at(texts, key, i))) {
            witness->reason = TEXTS_PHANTOM;
            accuse(witness, i);
            return false;
        }
        struct piece *piece = &texts->told[texts->n_told++];
        *piece = piece_of(texts, value_at(texts, key, i), i);
        piece->head = piece->length;
        *number_of(texts, key, i) = 1;
        int32_t group = find_group(texts, piece, 0);
        if (group >= 0 && texts->groups[group].n_puts == 0 && texts->model.initial_bytes == 0) {
            texts->first_group = group;
            texts->first_get = i;
        }
    }
    sort_pieces(texts->told, texts->scratch, texts->n_told);
    return true;
}

#endif
