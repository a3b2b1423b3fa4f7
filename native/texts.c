/*
 * texts.c: what gets tell of the order of appends, and the states of the search (see texts.h).
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include "texts.h"

#include <stdlib.h>
#include <string.h>

#include "pages.h"
#include "search.h"
#include "zones.h"

#define CELLS_MAX ((uint64_t)1 << 18) /* of a whole table; past it, states as they come */
#define FIRST_PLACES 64
#define APART (-1) /* in place of a get: no get begins so */
#define STEP_FAILED (-2)
#define NOWHERE (-1)  /* in place of a state: no block has this text */
#define ANYWHERE (-2) /* more than one may have it */

enum kind { GET, PUT, APPEND, KINDS };

/* Bytes, with what sorts them first: their own beginning, or a number before that. */
struct piece {
    uint64_t head;
    const uint8_t *bytes;
    size_t length;
    int32_t operation; /* that adds it or was told it; -1 for the initial text */
};

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
    uint8_t *held;           /* of the replay */
    size_t held_capacity;

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
    int32_t *next;
    uint64_t max_bytes;
};

/* Pieces. */

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

/* The first 8 bytes as a number that sorts as they do. */
static uint64_t head_of(const uint8_t *bytes, size_t length)
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

static bool is_prefix(const struct piece *piece, const uint8_t *bytes, size_t length)
{
    return piece->length <= length &&
           (piece->length == 0 || memcmp(piece->bytes, bytes, piece->length) == 0);
}

static int compare(const struct piece *one, const struct piece *other)
{
    if (one->head != other->head)
        return one->head < other->head ? -1 : 1;
    size_t least = one->length < other->length ? one->length : other->length;
    int order = least == 0 ? 0 : memcmp(one->bytes, other->bytes, least);
    if (order != 0 || one->length == other->length)
        return order;
    return one->length < other->length ? -1 : 1;
}

/* Sort by merging: runs of 1, 2, 4 and so on. */
static void sort(struct piece *pieces, struct piece *scratch, int32_t n)
{
    for (int32_t run = 1; run < n; run *= 2) {
        for (int32_t start = 0; start < n - run; start += 2 * run) {
            int32_t middle = start + run, end = n - middle > run ? middle + run : n;
            if (compare(&pieces[middle - 1], &pieces[middle]) <= 0)
                continue;
            memcpy(scratch, pieces + start, sizeof *pieces * (size_t)run);
            int32_t left = 0, right = middle, to = start;
            while (left < run && right < end)
                pieces[to++] = compare(&scratch[left], &pieces[right]) <= 0 ? scratch[left++]
                                                                            : pieces[right++];
            memcpy(pieces + to, scratch + left, sizeof *pieces * (size_t)(run - left));
        }
        if (run > INT32_MAX / 4)
            break;
    }
}

/* What was added that stands at the beginning of some bytes: the last that is not after them. */
static const struct piece *find(const struct texts *texts, const uint8_t *bytes, size_t length)
{
    struct piece wanted = {head_of(bytes, length), bytes, length, -1};
    int32_t low = 0, high = texts->n_added;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (compare(&texts->added[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !is_prefix(&texts->added[low - 1], bytes, length))
        return NULL;
    return &texts->added[low - 1];
}

/* Operations. */

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

int32_t texts_misfit(const struct texts *texts, const struct texts_key *key)
{
    for (int32_t i = 0; i < key->n; i++) {
        enum kind kind = kind_at(texts, key, i);
        if (kind == KINDS || (kind != GET && !is_text(texts, value_at(texts, key, i))))
            return i;
    }
    return -1;
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

/* What the texts prove. */

static int32_t new_state(struct texts *texts, int32_t root, int32_t parent, int32_t group)
{
    texts->states[texts->n_states] = (struct state){root, parent, group, -1, ZONES_NEVER};
    return texts->n_states++;
}

static bool is_repeated(const struct group *group)
{
    return group->n_told > 0 && group->n_appends > 1;
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
        if (texts->n_added == 0 || compare(last, &piece) != 0) {
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
    sort(texts->added, texts->scratch, texts->n_added);
    group_added(texts, key);
    for (int32_t p = 1; p < texts->n_added; p++)
        if (is_prefix(&texts->added[p - 1], texts->added[p].bytes, texts->added[p].length))
            return false;
    return true;
}

/* The group that stands somewhere in what a get was told, or -1. */
static int32_t find_group(const struct texts *texts, const struct piece *told, size_t from)
{
    const struct piece *piece = find(texts, told->bytes + from, told->length - from);
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
    sort(texts->told, texts->scratch, texts->n_told);
    return true;
}

/*
 * The first state of the block that a text belongs to, NOWHERE, or ANYWHERE: where more than one
 * may have it, a guess is tried, and then all without the gets of such texts.
 */
static int32_t root_of(struct texts *texts, const struct piece *told, bool is_guessing)
{
    bool is_empty_first = texts->model.initial_bytes == 0;
    if (told->length == 0)
        return is_empty_first ? 0 : NOWHERE;
    int32_t at = find_group(texts, told, 0);
    if (at < 0)
        return NOWHERE;
    const struct group *group = &texts->groups[at];
    int32_t put = texts->members[group->first];
    bool may_be_first = is_empty_first && group->n_appends > 0;
    if (group->n_puts == 0)
        return may_be_first ? 0 : NOWHERE;
    bool is_known = !may_be_first || (texts->first_group >= 0 && texts->first_group != at);
    bool is_guess = group->n_puts > 1 || !is_known;
    texts->has_guessed = texts->has_guessed || is_guess;
    if (is_guess && !is_guessing)
        return ANYWHERE;
    return put < 0 ? 0 : texts->make[put];
}

/* Whether a text is one of a put or the initial text, and of what was appended. */
static bool is_made(const struct texts *texts, const struct piece *told, int32_t root)
{
    bool is_bare = root == 0 && texts->model.initial_bytes == 0;
    for (size_t at = 0; at < told->length;) {
        int32_t group = find_group(texts, told, at);
        if (group < 0 || (texts->groups[group].n_appends == 0 && (at > 0 || is_bare)))
            return false;
        at += texts->added[group].length;
    }
    return true;
}

/* Let the states of a block follow what was told. Returns the last, NOWHERE, or ANYWHERE. */
static int32_t extend(struct texts *texts, const struct piece *told, bool is_guessing,
                      struct texts_witness *witness)
{
    int32_t root = root_of(texts, told, is_guessing);
    if (root == ANYWHERE)
        return ANYWHERE;
    witness->reason = TEXTS_PHANTOM;
    accuse(witness, told->operation);
    if (root == NOWHERE)
        return NOWHERE;
    struct block *block = &texts->blocks[root];
    if (block->length > 0 && memcmp(told->bytes, block->bytes, block->length) != 0) {
        if (!is_made(texts, told, root))
            return NOWHERE;
        witness->reason = TEXTS_APART;
        accuse(witness, block->get);
        accuse(witness, texts->first_get);
        return NOWHERE;
    }
    for (size_t at = block->length; at < told->length;) {
        int32_t at_group = find_group(texts, told, at);
        struct group *group = at_group < 0 ? NULL : &texts->groups[at_group];
        if (group == NULL || group->n_appends == 0)
            return NOWHERE;
        if (group->n_told++ == group->n_appends) {
            witness->reason = TEXTS_TWICE;
            for (int32_t state = 0; state < texts->n_states; state++)
                if (texts->states[state].group == at_group)
                    accuse(witness, texts->blocks[texts->states[state].root].get);
            for (int32_t m = 0; m < group->n_appends; m++)
                accuse(witness, texts->members[group->first + group->n_puts + m]);
            accuse(witness, texts->first_get);
            return NOWHERE;
        }
        block->state = new_state(texts, root, block->state, at_group);
        at += texts->added[at_group].length;
    }
    *block = (struct block){told->bytes, told->length, block->state, told->operation};
    witness->n_operations = 0;
    return block->state;
}

/* Number the states that were told and the puts. Returns whether they can be; else a witness. */
static bool number_states(struct texts *texts, const struct texts_key *key, bool is_guessing,
                          struct texts_witness *witness)
{
    const struct texts_model *model = &texts->model;
    for (int32_t g = 0; g < texts->n_added; g++)
        texts->groups[g].n_told = 0;
    texts->n_states = 0;
    texts->blocks[new_state(texts, 0, -1, -1)] =
        (struct block){model->initial, model->initial_bytes, 0, -1};
    for (int32_t i = 0; i < key->n; i++) {
        texts->want[i] = texts->make[i] = -1;
        if (kind_at(texts, key, i) != PUT)
            continue;
        int32_t state = texts->make[i] = new_state(texts, texts->n_states, -1, -1);
        struct piece put = piece_of(texts, value_at(texts, key, i), i);
        texts->blocks[state] = (struct block){put.bytes, put.length, state, -1};
    }
    for (int32_t p = 0; p < texts->n_told; p++) {
        int32_t state = extend(texts, &texts->told[p], is_guessing, witness);
        if (state == NOWHERE)
            return false;
        *number_of(texts, key, texts->told[p].operation) = state == ANYWHERE ? 0 : 1 + state;
    }
    for (int32_t i = 0; i < key->n; i++)
        if (kind_at(texts, key, i) == GET)
            texts->want[i] = *number_of(texts, key, i) - 1;
    texts->n_told_states = texts->n_states;
    return true;
}

/*
 * Say which append leads to each state that was told: of those that append the same, the first
 * (or last) that fits between what stands before and after it. Then give a state to each append
 * that nobody was told. Returns whether each state has its append.
 */
static bool assign(struct texts *texts, const struct texts_key *key, bool is_late)
{
    for (int32_t i = 0; i < key->n; i++)
        if (kind_at(texts, key, i) == APPEND)
            texts->want[i] = texts->make[i] = -1;
    for (int32_t s = 1; s < texts->n_told_states; s++) {
        const struct state *state = &texts->states[s];
        if (state->group < 0)
            continue;
        const struct group *group = &texts->groups[state->group];
        const int32_t *members = texts->members + group->first + group->n_puts;
        int32_t chosen = -1;
        for (int32_t m = 0; m < group->n_appends; m++) {
            int32_t append = members[m];
            bool fits = group->n_appends == 1 ||
                        (key->inv[append] < state->before && key->ret[append] > state->after);
            if (texts->make[append] < 0 && fits && (is_late || chosen < 0))
                chosen = append;
        }
        if (chosen < 0)
            return false;
        texts->want[chosen] = state->parent;
        texts->make[chosen] = s;
    }
    texts->n_states = texts->n_told_states;
    for (int32_t i = 0; i < key->n; i++)
        if (kind_at(texts, key, i) == APPEND && texts->make[i] < 0) {
            int32_t state = texts->make[i] = new_state(texts, texts->n_states, -1, -1);
            texts->blocks[state].get = -1;
        }
    return true;
}

/* Of each state that one of several appends may lead to: the first invocation, the last return. */
static void relax(struct texts *texts, const struct texts_key *key)
{
    for (int32_t s = 1; s < texts->n_told_states; s++) {
        const struct state *state = &texts->states[s];
        if (state->group < 0 || !is_repeated(&texts->groups[state->group]))
            continue;
        const struct group *group = &texts->groups[state->group];
        const int32_t *members = texts->members + group->first + group->n_puts;
        struct zones_value *value = &texts->values[s];
        value->hi = key->inv[members[0]];
        value->lo = -1;
        for (int32_t m = 0; m < group->n_appends; m++)
            value->lo = key->ret[members[m]] > value->lo ? key->ret[members[m]] : value->lo;
        for (int32_t m = 0; m < group->n_appends; m++)
            if (texts->make[members[m]] == s)
                value->producer = members[m];
    }
}

/*
 * Take up where the operations on each state stand; is_relaxed: only what holds whichever of
 * several equal appends leads to it. Returns whether an append leads from state to state.
 */
static bool survey(struct texts *texts, const struct texts_key *key, bool is_relaxed)
{
    bool has_cas = false;
    for (int32_t state = 0; state < texts->n_states; state++)
        texts->values[state] = ZONES_UNSEEN;
    texts->values[0].offset = ZONES_NEEDED;
    for (int32_t i = 0; i < key->n; i++) {
        enum kind kind = kind_at(texts, key, i);
        if (kind == GET && texts->want[i] < 0)
            continue;
        if (kind == GET) {
            struct zones_value *value = &texts->values[texts->want[i]];
            value->read_inv = key->inv[i];
            value->read_ret = key->ret[i] < value->read_ret ? key->ret[i] : value->read_ret;
            value->n_reads++;
            value->offset = ZONES_NEEDED;
            continue;
        }
        has_cas = has_cas || texts->want[i] >= 0;
        if (texts->make[i] < 0 ||
            (is_relaxed && kind == APPEND && is_repeated(&texts->groups[texts->group_of[i]])))
            continue;
        struct zones_value *value = &texts->values[texts->make[i]];
        value->producer = i;
        value->hi = key->inv[i];
        value->lo = key->ret[i];
        if (key->ret[i] != ZONES_NEVER)
            value->offset = ZONES_NEEDED;
    }
    if (is_relaxed)
        relax(texts, key);
    return has_cas;
}

/* Find what must come before and after each state that was told, from a relaxed survey. */
static void bound_states(struct texts *texts)
{
    for (int32_t s = 1; s < texts->n_told_states; s++) {
        struct state *state = &texts->states[s];
        if (state->parent < 0)
            continue;
        const struct zones_value *parent = &texts->values[state->parent];
        state->after = texts->states[state->parent].after;
        state->after = parent->hi > state->after ? parent->hi : state->after;
        state->after = parent->read_inv > state->after ? parent->read_inv : state->after;
    }
    for (int32_t s = texts->n_told_states - 1; s > 0; s--) {
        struct state *state = &texts->states[s];
        const struct zones_value *value = &texts->values[s];
        state->before = value->read_ret < state->before ? value->read_ret : state->before;
        if (state->parent < 0)
            continue;
        struct state *parent = &texts->states[state->parent];
        parent->before = state->before < parent->before ? state->before : parent->before;
        parent->before = value->lo < parent->before ? value->lo : parent->before;
    }
}

static bool judge_zones(struct texts *texts, const struct texts_key *key, bool is_relaxed,
                        int32_t *order, int32_t *length, struct zones_witness *found)
{
    struct zones zones = {
        .n_operations = key->n, .n_positions = key->n_events, .events = key->events,
        .want = texts->want, .make = texts->make, .values = texts->values,
        .n_values = texts->n_states, .has_cas = survey(texts, key, is_relaxed),
        .buckets = key->buckets};
    return zones_judge(&zones, is_relaxed ? NULL : order, length, found) == ZONES_VALID;
}

/* What zones found, and the gets that tell which block each operation belongs to. */
static void accuse_all(const struct texts *texts, const struct zones_witness *found,
                       struct texts_witness *witness)
{
    witness->reason = (int32_t)found->reason;
    for (int32_t i = 0; i < found->n_operations; i++)
        accuse(witness, found->operations[i]);
    for (int32_t i = 0; i < found->n_operations; i++) {
        int32_t operation = found->operations[i];
        int32_t state = texts->make[operation] < 0 ? texts->want[operation]
                                                   : texts->make[operation];
        accuse(witness, texts->blocks[texts->states[state].root].get);
    }
    accuse(witness, texts->first_get);
}

/*
 * Try to find an order where texts may be taken apart in more than one way: of equal appends the
 * first that fits leads to each state, and then the last.
 */
static bool try_orders(struct texts *texts, const struct texts_key *key, int32_t *order,
                       int32_t *length, struct zones_witness *found)
{
    assign(texts, key, false); /* no bounds yet: any will do */
    survey(texts, key, true);
    bound_states(texts);
    for (int is_late = 0; is_late < 2; is_late++)
        if (assign(texts, key, is_late) && judge_zones(texts, key, false, order, length, found))
            return true;
    for (int32_t s = 0; s < texts->n_told_states; s++) {
        texts->states[s].after = -1;
        texts->states[s].before = ZONES_NEVER;
    }
    return false;
}

/* Judge with a guess where it is not known which block a text belongs to, or without its gets. */
static enum texts_answer judge_told(struct texts *texts, const struct texts_key *key,
                                    bool is_guessing, int32_t *order, int32_t *length,
                                    struct texts_witness *witness)
{
    struct zones_witness found;
    bool has_repeated = false;
    witness->n_operations = 0;
    if (!number_states(texts, key, is_guessing, witness))
        return TEXTS_INVALID;
    for (int32_t g = 0; g < texts->n_added; g++)
        has_repeated = has_repeated || is_repeated(&texts->groups[g]);
    if (is_guessing && has_repeated && try_orders(texts, key, order, length, &found))
        return TEXTS_VALID;
    assign(texts, key, false);
    bool is_exact = is_guessing && !has_repeated;
    if (!judge_zones(texts, key, !is_exact, order, length, &found)) {
        accuse_all(texts, &found, witness);
        return TEXTS_INVALID;
    }
    return is_exact ? TEXTS_VALID : TEXTS_AMBIGUOUS;
}

enum texts_answer texts_judge(struct texts *texts, const struct texts_key *key, int32_t *order,
                              int32_t *length, struct texts_witness *witness)
{
    witness->n_operations = 0;
    texts->first_get = -1;
    texts->has_guessed = false;
    *length = 0;
    if (!gather_added(texts, key))
        return TEXTS_AMBIGUOUS;
    enum texts_answer answer = TEXTS_INVALID;
    if (gather_told(texts, key, witness))
        answer = judge_told(texts, key, true, order, length, witness);
    if (answer != TEXTS_VALID && texts->has_guessed)
        answer = judge_told(texts, key, false, order, length, witness);
    forget_numbers(texts, key);
    return answer;
}

/* The search. */

/* How a text of two parts compares with what a get was told: 0 where the get begins with it. */
static int compare_parts(const struct piece *told, const uint8_t *bytes, size_t length,
                         const struct piece *more)
{
    size_t least = told->length < length ? told->length : length;
    int order = least == 0 ? 0 : memcmp(told->bytes, bytes, least);
    if (order != 0 || told->length < length)
        return order != 0 ? order : -1;
    size_t left = told->length - length;
    least = left < more->length ? left : more->length;
    order = least == 0 ? 0 : memcmp(told->bytes + length, more->bytes, least);
    return order != 0 ? order : left < more->length ? -1 : 0;
}

static uint64_t place_bucket(const struct texts *texts, struct place place)
{
    uint64_t hash = ((uint64_t)place.length << 32 ^ (uint64_t)(uint32_t)place.get) *
                    UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mask = 2 * (uint64_t)texts->places_capacity - 1, bucket = (hash ^ hash >> 32) & mask;
    for (;; bucket = (bucket + 1) & mask) {
        int32_t state = texts->buckets[bucket] - 1;
        if (state < 0 || (texts->places[state].get == place.get &&
                          texts->places[state].length == place.length))
            return bucket;
    }
}

static uint64_t places_bytes(int32_t capacity)
{
    return (uint64_t)capacity * (sizeof(struct place) + 2 * sizeof(int32_t));
}

/* Room for twice the places. Returns 0, or -1 past the limit. */
static int grow_places(struct texts *texts)
{
    int32_t capacity = texts->places_capacity == 0 ? FIRST_PLACES : 2 * texts->places_capacity;
    if (capacity > INT32_MAX / 4 || places_bytes(capacity) > texts->max_bytes)
        return -1;
    struct place *places = realloc(texts->places, sizeof *places * (size_t)capacity);
    if (places == NULL)
        return -1;
    texts->places = places;
    int32_t *buckets = calloc(2 * (size_t)capacity, sizeof *buckets);
    if (buckets == NULL)
        return -1;
    free(texts->buckets);
    texts->buckets = buckets;
    texts->places_capacity = capacity;
    for (int32_t state = 0; state < texts->n_places; state++)
        buckets[place_bucket(texts, places[state])] = state + 1;
    return 0;
}

/* The number of a state, or STEP_FAILED past the limit. */
static int32_t state_of(struct texts *texts, struct place place)
{
    if (texts->n_places == texts->places_capacity && grow_places(texts) != 0)
        return STEP_FAILED;
    uint64_t bucket = place_bucket(texts, place);
    if (texts->buckets[bucket] == 0) {
        texts->places[texts->n_places++] = place;
        texts->buckets[bucket] = texts->n_places;
    }
    return texts->buckets[bucket] - 1;
}

/* The state in which a text is held that begins as a get does (or has no beginning), then more. */
static int32_t state_after(struct texts *texts, struct place before, const struct piece *more)
{
    const uint8_t *bytes = before.length == 0 ? NULL : texts->told[before.get].bytes;
    int32_t low = 0, high = texts->n_told;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (compare_parts(&texts->told[middle], bytes, before.length, more) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == texts->n_told || compare_parts(&texts->told[low], bytes, before.length, more) != 0)
        return state_of(texts, (struct place){APART, 0});
    return state_of(texts, (struct place){low, before.length + more->length});
}

/* A search_step. */
static int32_t step(void *context, int32_t state, int32_t transition)
{
    struct texts *texts = context;
    switch (texts->kinds[transition]) {
    case GET:
        return texts->leads[transition] == state ? state : -1;
    case PUT:
        return texts->leads[transition];
    default:
        if (texts->places[state].get == APART)
            return state;
        return state_after(texts, texts->places[state], &texts->asked[transition]);
    }
}

/* Number the distinct operations, and sort what was told. */
static void number_transitions(struct texts *texts, const struct texts_key *key)
{
    texts->n_transitions = texts->n_told = 0;
    for (int32_t i = 0; i < key->n; i++) {
        int32_t *number = number_of(texts, key, i), value = value_at(texts, key, i);
        enum kind kind = kind_at(texts, key, i);
        if (*number == 0) {
            *number = ++texts->n_transitions;
            int32_t t = *number - 1;
            texts->kinds[t] = (uint8_t)kind;
            texts->pure[t] = kind == GET;
            texts->asked[t] = (struct piece){0, NULL, 0, -1};
            if (is_text(texts, value)) {
                texts->asked[t] = piece_of(texts, value, i);
                texts->asked[t].head = head_of(texts->asked[t].bytes, texts->asked[t].length);
                if (kind == GET)
                    texts->told[texts->n_told++] = texts->asked[t];
            }
        }
        texts->transition[i] = *number - 1;
    }
    forget_numbers(texts, key);
    sort(texts->told, texts->scratch, texts->n_told);
}

/* Number the states that are known beforehand; the initial one is 0. */
static int number_places(struct texts *texts)
{
    const struct texts_model *model = &texts->model;
    struct piece initial = {0, model->initial, model->initial_bytes, -1};
    texts->n_places = 0;
    if (texts->places_capacity > 0)
        memset(texts->buckets, 0, 2 * sizeof(int32_t) * (size_t)texts->places_capacity);
    if (state_after(texts, (struct place){APART, 0}, &initial) < 0)
        return -1;
    for (int32_t t = 0; t < texts->n_transitions; t++) {
        texts->leads[t] = -1;
        if (texts->kinds[t] == APPEND || texts->asked[t].operation < 0)
            continue;
        texts->leads[t] = state_after(texts, (struct place){APART, 0}, &texts->asked[t]);
        if (texts->leads[t] < 0)
            return -1;
    }
    return 0;
}

/* Make the table of all states, where it is small. Returns whether it is. */
static bool make_table(struct texts *texts)
{
    size_t n_transitions = (size_t)texts->n_transitions;
    if (texts->next == NULL && (texts->next = malloc(sizeof(int32_t) * CELLS_MAX)) == NULL)
        return false;
    for (int32_t state = 0; state < texts->n_places; state++) {
        if (((uint64_t)texts->n_places + 1) * n_transitions > CELLS_MAX)
            return false;
        for (int32_t t = 0; t < texts->n_transitions; t++) {
            int32_t after = step(texts, state, t);
            if (after == STEP_FAILED)
                return false;
            texts->next[(size_t)state * n_transitions + (size_t)t] = after;
        }
    }
    return (uint64_t)texts->n_places * n_transitions <= CELLS_MAX;
}

struct search *texts_search(struct texts *texts, const struct texts_key *key,
                            uint64_t max_configurations, uint64_t max_bytes, int32_t *error)
{
    texts->max_bytes = max_bytes;
    number_transitions(texts, key);
    *error = SEARCH_NO_MEMORY;
    if (number_places(texts) != 0)
        return NULL;
    bool has_crashed = false; /* else a whole table would tell nothing more (lazy.h) */
    for (int32_t i = 0; i < key->n; i++)
        has_crashed = has_crashed || key->ret[i] == SEARCH_NEVER;
    if (has_crashed && make_table(texts))
        return search_open(key->n, key->inv, key->ret, texts->transition, texts->n_places,
                           texts->n_transitions, texts->next, 0, max_configurations, max_bytes,
                           SEARCH_SCHEDULE, error);
    return search_open_lazy(key->n, key->inv, key->ret, texts->transition, texts->n_transitions,
                            texts->pure, step, texts, max_configurations, max_bytes,
                            SEARCH_SCHEDULE, error);
}

/* The replay. */

/* Add to what is held. Returns 0, or -1 without memory. */
static int hold(struct texts *texts, size_t held, const struct piece *more)
{
    if (held + more->length > texts->held_capacity) {
        size_t capacity = 2 * (held + more->length);
        uint8_t *bytes = realloc(texts->held, capacity);
        if (bytes == NULL)
            return -1;
        texts->held = bytes;
        texts->held_capacity = capacity;
    }
    if (more->length > 0)
        memcpy(texts->held + held, more->bytes, more->length);
    return 0;
}

int32_t texts_replay(struct texts *texts, const struct texts_key *key, const int32_t *order,
                     int32_t length)
{
    struct piece initial = {0, texts->model.initial, texts->model.initial_bytes, -1};
    int32_t *seen = key->buckets, greatest_inv = -1, n_missing = 0;
    size_t held = initial.length;
    memset(seen, 0, sizeof(int32_t) * (size_t)key->n);
    if (hold(texts, 0, &initial) != 0)
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
        if (hold(texts, held, &piece) != 0)
            return -1;
        held += piece.length;
    }
    for (int32_t i = 0; i < key->n; i++)
        n_missing += !seen[i] && key->ret[i] != ZONES_NEVER;
    return n_missing == 0;
}

/* Life. */

void texts_close(struct texts *texts)
{
    if (texts == NULL)
        return;
    void *owned[] = {texts->want,    texts->make,  texts->group_of,   texts->values, texts->blocks,
                     texts->groups,  texts->states, texts->members,
                     texts->added,   texts->told,  texts->scratch,    texts->numbers, texts->held,
                     texts->transition, texts->asked, texts->kinds,   texts->leads,  texts->pure,
                     texts->places,  texts->buckets, texts->next};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        free(owned[i]);
    free(texts);
}

struct texts *texts_open(const struct columns *columns, const struct texts_model *model,
                         int32_t n_max, int32_t n_values)
{
    size_t n = (size_t)n_max + 1;
    struct texts *texts = calloc(1, sizeof *texts);
    if (texts == NULL)
        return NULL;
    texts->columns = columns;
    texts->model = *model;
    int32_t **integers[] = {&texts->want, &texts->make, &texts->group_of, &texts->members,
                            &texts->transition, &texts->leads};
    struct piece **pieces[] = {&texts->added, &texts->told, &texts->scratch, &texts->asked};
    bool is_open = true;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        is_open = (*integers[i] = pages_allocate(sizeof(int32_t) * n)) != NULL && is_open;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        is_open = (*pieces[i] = pages_allocate(sizeof(struct piece) * n)) != NULL && is_open;
    texts->values = pages_allocate(sizeof *texts->values * n);
    texts->blocks = pages_allocate(sizeof *texts->blocks * n);
    texts->groups = pages_allocate(sizeof *texts->groups * n);
    texts->states = pages_allocate(sizeof *texts->states * n);
    texts->kinds = pages_allocate(n);
    texts->pure = pages_allocate(n);
    texts->numbers = calloc(KINDS * ((size_t)n_values + 1), sizeof(int32_t));
    if (is_open && texts->values && texts->blocks && texts->groups && texts->states &&
        texts->kinds && texts->pure && texts->numbers)
        return texts;
    texts_close(texts);
    return NULL;
}
