/*
 * corpus.h: the texts of one key: what puts and appends add, and what the gets returned.
 *
 * struct texts is what one thread holds (texts.h). It is shared by the files of this folder alone;
 * each member says who fills it. Arrays have room for the largest key, and are allocated once, by
 * texts_open. Operations, positions and keys are those of struct texts_key.
 */
#ifndef DISSEVER_CORPUS_H
#define DISSEVER_CORPUS_H

#include <string.h>

#include "texts.h"

/*
 * Text as bytes of the loaded values. Its `head` sorts it first: its own beginning, which decides
 * most comparisons in O(1), or a number that is to count before that.
 */
struct piece {
    uint64_t head;
    const uint8_t *bytes;
    size_t length;     /* in bytes */
    int32_t operation; /* that adds it or got it; -1 for the initial text */
};

/* The first 8 bytes as a number that sorts as they do. */
static inline uint64_t piece_head(const uint8_t *bytes, size_t length)
{
    uint64_t head = 0;
    if (length >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
        return __builtin_bswap64(head);
    }
    for (size_t i = 0; i < length; i++)
        head |= (uint64_t)bytes[i] << (56 - 8 * i);
    return head;
}

/* Whether some bytes begin with a piece. */
static inline bool piece_begins(const struct piece *piece, const uint8_t *bytes, size_t length)
{
    return piece->length <= length &&
           (piece->length == 0 || memcmp(piece->bytes, bytes, piece->length) == 0);
}

/* As memcmp: by head, then by bytes, then the shorter one first. */
static inline int piece_compare(const struct piece *one, const struct piece *other)
{
    if (one->head != other->head)
        return one->head < other->head ? -1 : 1;
    size_t least = one->length < other->length ? one->length : other->length;
    int order = least == 0 ? 0 : memcmp(one->bytes, other->bytes, least);
    if (order != 0 || one->length == other->length)
        return order;
    return one->length < other->length ? -1 : 1;
}

/* Sort, stable, in O(n log n) comparisons. scratch: room for n pieces. */
void pieces_sort(struct piece *pieces, struct piece *scratch, int32_t n);

enum kind { GET, PUT, APPEND, KINDS };

/* A put or the initial text, and what is known to follow. */
struct block {
    const uint8_t *bytes; /* the longest text that a get returned of it so far */
    size_t length;
    int32_t state;
    int32_t get; /* that returned it, or -1 */
};

/* Equal texts: puts, then appends, each by invocation, from `first` on in `members`. */
struct group {
    int32_t first;
    int32_t n_puts; /* the initial text counts as one */
    int32_t n_appends;
    int32_t n_states; /* states that such an append leads to */
};

/* What a block holds at one time, or what no get returned. */
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
    const struct keys_options *options;
    int32_t *want;           /* by operation: states */
    int32_t *make;
    int32_t *group_of;       /* by operation that adds a text */
    struct state *states;
    struct zones_value *values; /* by state */
    struct block *blocks;    /* by state that is a root */
    struct piece *added;     /* what puts and appends add, in order of bytes, each once */
    struct group *groups;    /* by piece of `added` */
    int32_t *members;        /* operations by group; -1 for the initial text */
    struct piece *answers;   /* what the gets returned, each once */
    struct piece *scratch;
    int32_t *numbers;        /* by value and kind: 1 + state, or 1 + transition; else 0 */
    int32_t n_added;
    int32_t n_answers;
    int32_t n_states;
    int32_t n_known_states;  /* those that the gets returned, and those of puts; they come first */
    int32_t first_group;     /* what surely follows an empty initial text, or -1 */
    int32_t first_get;       /* that shows it */
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

static inline bool is_text(const struct texts *texts, int32_t value)
{
    return texts->options->texts->tags[value] == LOAD_TEXT;
}

/* The text of a value; its head is 0. */
static inline struct piece piece_of(const struct texts *texts, int32_t value, int32_t operation)
{
    const uint8_t *at = texts->options->texts->bytes + texts->options->texts->words[value];
    uint32_t length;
    memcpy(&length, at, sizeof length);
    return (struct piece){0, at + sizeof length, length, operation};
}

static inline struct piece initial_piece(const struct texts *texts)
{
    return (struct piece){0, texts->options->initial_text, (size_t)texts->options->initial_bytes,
                          -1};
}

static inline enum kind kind_of(const struct texts *texts, int32_t f)
{
    const struct keys_options *is = texts->options;
    return f == is->read ? GET : f == is->write ? PUT : f == is->append ? APPEND : KINDS;
}

static inline enum kind kind_at(const struct texts *texts, const struct texts_key *key, int32_t i)
{
    return kind_of(texts, texts->columns->f[key->calls[i]]);
}

/* What an operation returned (a get) or added. */
static inline int32_t value_at(const struct texts *texts, const struct texts_key *key, int32_t i)
{
    int32_t operation = key->calls[i];
    return kind_at(texts, key, i) == GET ? texts->columns->value_out[operation]
                                         : texts->columns->value_in[operation];
}

/* Where the number of its value and kind stands. */
static inline int32_t *number_of(struct texts *texts, const struct texts_key *key, int32_t i)
{
    return &texts->numbers[KINDS * (size_t)value_at(texts, key, i) + kind_at(texts, key, i)];
}

static inline bool is_repeated(const struct group *group)
{
    return group->n_states > 0 && group->n_appends > 1;
}

/* Set all numbers of the key to 0. */
void corpus_forget_numbers(struct texts *texts, const struct texts_key *key);

/* The group of the text that stands in what a get returned, from a byte on, or -1. O(log n). */
int32_t corpus_find_group(const struct texts *texts, const struct piece *answer, size_t from);

/*
 * Gather what puts and appends add, and the groups of equal texts. Returns whether a text can be
 * taken apart in one way alone: nothing that is added is empty, or begins another. O(n log n).
 */
bool corpus_gather_added(struct texts *texts, const struct texts_key *key);

/*
 * Gather what the gets returned, the shortest first, and what is known to follow the initial text
 * where that is empty. Returns whether all of it is text; if not, a witness. O(n log n).
 */
bool corpus_gather_answers(struct texts *texts, const struct texts_key *key,
                           struct witness *witness);

/* Forget all states of the search (beginnings.c). May be called again. */
void beginnings_free(struct texts *texts);

/* The bytes that the states of the key at hand take, with their table. */
uint64_t beginnings_bytes(const struct texts *texts);

#endif
