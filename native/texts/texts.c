/*
 * texts.c: texts judged as registers, without a search (see texts.h).
 *
 * From what the gets returned to the states of a register, and which append leads to each: blocks
 * of states, each from a put on. The order is states_number, states_assign, states_survey, whose
 * values are for zones_judge. Where equal texts are appended more than once, states_bound comes
 * between a relaxed survey and the next states_assign. Time: O(n) and once through each distinct
 * text, except that states_assign is O(states * appends of one group).
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include <stdlib.h>

#include "corpus.h"
#include "pages.h"

#define NOWHERE (-1)  /* in place of a state: no block has this text */
#define ANYWHERE (-2) /* more than one may have it */

static int32_t new_state(struct texts *texts, int32_t root, int32_t parent, int32_t group)
{
    texts->states[texts->n_states] = (struct state){root, parent, group, -1, ZONES_NEVER};
    return texts->n_states++;
}

/*
 * The first state of the block that a text belongs to, NOWHERE, or ANYWHERE: where more than one
 * may have it, a guess is tried, and then all without the gets of such texts.
 */
static int32_t root_of(struct texts *texts, const struct piece *answer, bool is_guessing)
{
    bool is_empty_first = texts->options->initial_bytes == 0;
    if (answer->length == 0)
        return is_empty_first ? 0 : NOWHERE;
    int32_t at = corpus_find_group(texts, answer, 0);
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
static bool is_made(const struct texts *texts, const struct piece *answer, int32_t root)
{
    bool is_bare = root == 0 && texts->options->initial_bytes == 0;
    for (size_t at = 0; at < answer->length;) {
        int32_t group = corpus_find_group(texts, answer, at);
        if (group < 0 || (texts->groups[group].n_appends == 0 && (at > 0 || is_bare)))
            return false;
        at += texts->added[group].length;
    }
    return true;
}

/* Let the states of a block follow what a get returned. Returns the last, NOWHERE, or ANYWHERE. */
static int32_t extend(struct texts *texts, const struct piece *answer, bool is_guessing,
                      struct witness *witness)
{
    int32_t root = root_of(texts, answer, is_guessing);
    if (root == ANYWHERE)
        return ANYWHERE;
    witness->reason = KEYS_PHANTOM;
    witness_add(witness, answer->operation);
    if (root == NOWHERE)
        return NOWHERE;
    struct block *block = &texts->blocks[root];
    if (block->length > 0 && memcmp(answer->bytes, block->bytes, block->length) != 0) {
        if (!is_made(texts, answer, root))
            return NOWHERE;
        witness->reason = KEYS_APART;
        witness_add(witness, block->get);
        witness_add(witness, texts->first_get);
        return NOWHERE;
    }
    for (size_t at = block->length; at < answer->length;) {
        int32_t at_group = corpus_find_group(texts, answer, at);
        struct group *group = at_group < 0 ? NULL : &texts->groups[at_group];
        if (group == NULL || group->n_appends == 0)
            return NOWHERE;
        if (group->n_states++ == group->n_appends) {
            witness->reason = KEYS_TWICE;
            for (int32_t state = 0; state < texts->n_states; state++)
                if (texts->states[state].group == at_group)
                    witness_add(witness, texts->blocks[texts->states[state].root].get);
            for (int32_t m = 0; m < group->n_appends; m++)
                witness_add(witness, texts->members[group->first + group->n_puts + m]);
            witness_add(witness, texts->first_get);
            return NOWHERE;
        }
        block->state = new_state(texts, root, block->state, at_group);
        at += texts->added[at_group].length;
    }
    *block = (struct block){answer->bytes, answer->length, block->state, answer->operation};
    witness->n_operations = 0;
    return block->state;
}

/*
 * Number the states that the gets returned and those of puts. is_guessing: where a text may belong
 * to more than one block, take the first; else leave out its gets. Returns whether the texts fit
 * together; if not, a witness.
 */
static bool states_number(struct texts *texts, const struct texts_key *key, bool is_guessing,
                          struct witness *witness)
{
    struct piece initial = initial_piece(texts);
    for (int32_t g = 0; g < texts->n_added; g++)
        texts->groups[g].n_states = 0;
    texts->n_states = 0;
    texts->blocks[new_state(texts, 0, -1, -1)] =
        (struct block){initial.bytes, initial.length, 0, -1};
    for (int32_t i = 0; i < key->n; i++) {
        texts->want[i] = texts->make[i] = -1;
        if (kind_at(texts, key, i) != PUT)
            continue;
        int32_t state = texts->make[i] = new_state(texts, texts->n_states, -1, -1);
        struct piece put = piece_of(texts, value_at(texts, key, i), i);
        texts->blocks[state] = (struct block){put.bytes, put.length, state, -1};
    }
    for (int32_t p = 0; p < texts->n_answers; p++) {
        int32_t state = extend(texts, &texts->answers[p], is_guessing, witness);
        if (state == NOWHERE)
            return false;
        *number_of(texts, key, texts->answers[p].operation) = state == ANYWHERE ? 0 : 1 + state;
    }
    for (int32_t i = 0; i < key->n; i++)
        if (kind_at(texts, key, i) == GET)
            texts->want[i] = *number_of(texts, key, i) - 1;
    texts->n_known_states = texts->n_states;
    return true;
}

/*
 * Say which append leads to each known state: of those that append the same, the first (or,
 * is_late, the last) that fits between what stands before and after it. Then give a state of its
 * own to each append that no get shows. Returns whether each state has its append.
 */
static bool states_assign(struct texts *texts, const struct texts_key *key, bool is_late)
{
    for (int32_t i = 0; i < key->n; i++)
        if (kind_at(texts, key, i) == APPEND)
            texts->want[i] = texts->make[i] = -1;
    for (int32_t s = 1; s < texts->n_known_states; s++) {
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
    texts->n_states = texts->n_known_states;
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
    for (int32_t s = 1; s < texts->n_known_states; s++) {
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
 * Fill texts->values: where the operations on each state stand. is_relaxed: only what holds
 * whichever of several equal appends leads to it. Returns whether some append leads from state to
 * state.
 */
static bool states_survey(struct texts *texts, const struct texts_key *key, bool is_relaxed)
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

/* Find what must come before and after each known state, from a relaxed survey. */
static void states_bound(struct texts *texts)
{
    for (int32_t s = 1; s < texts->n_known_states; s++) {
        struct state *state = &texts->states[s];
        if (state->parent < 0)
            continue;
        const struct zones_value *parent = &texts->values[state->parent];
        state->after = texts->states[state->parent].after;
        state->after = parent->hi > state->after ? parent->hi : state->after;
        state->after = parent->read_inv > state->after ? parent->read_inv : state->after;
    }
    for (int32_t s = texts->n_known_states - 1; s > 0; s--) {
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

int32_t texts_begin(struct texts *texts, const struct texts_key *key)
{
    beginnings_free(texts);
    texts->held_most = 0;
    for (int32_t i = 0; i < key->n; i++) {
        enum kind kind = kind_at(texts, key, i);
        if (kind == KINDS || (kind != GET && !is_text(texts, value_at(texts, key, i))))
            return i;
    }
    return -1;
}

static bool judge_zones(struct texts *texts, const struct texts_key *key, bool is_relaxed,
                        int32_t *order, int32_t *length, struct witness *found)
{
    struct zones zones = {
        .n_operations = key->n, .n_positions = key->n_events, .events = key->events,
        .want = texts->want, .make = texts->make, .values = texts->values,
        .n_values = texts->n_states, .has_cas = states_survey(texts, key, is_relaxed),
        .buckets = key->buckets};
    return zones_judge(&zones, is_relaxed ? NULL : order, length, found) == KEYS_NO_REASON;
}

/* What zones found, and the gets that tell which block each operation belongs to. */
static void accuse_all(const struct texts *texts, const struct witness *found,
                       struct witness *witness)
{
    *witness = *found;
    for (int32_t i = 0; i < found->n_operations; i++) {
        int32_t operation = found->operations[i];
        int32_t state = texts->make[operation] < 0 ? texts->want[operation]
                                                   : texts->make[operation];
        witness_add(witness, texts->blocks[texts->states[state].root].get);
    }
    witness_add(witness, texts->first_get);
}

/*
 * Try to find an order where texts may be taken apart in more than one way: of equal appends the
 * first that fits leads to each state, and then the last.
 */
static bool try_orders(struct texts *texts, const struct texts_key *key, int32_t *order,
                       int32_t *length, struct witness *found)
{
    states_assign(texts, key, false); /* no bounds yet: any will do */
    states_survey(texts, key, true);
    states_bound(texts);
    for (int is_late = 0; is_late < 2; is_late++)
        if (states_assign(texts, key, is_late) &&
            judge_zones(texts, key, false, order, length, found))
            return true;
    for (int32_t s = 0; s < texts->n_known_states; s++) {
        texts->states[s].after = -1;
        texts->states[s].before = ZONES_NEVER;
    }
    return false;
}

/* Judge with a guess where it is not known which block a text belongs to, or without its gets. */
static enum texts_answer judge_answers(struct texts *texts, const struct texts_key *key,
                                       bool is_guessing, int32_t *order, int32_t *length,
                                       struct witness *witness)
{
    struct witness found;
    bool has_repeated = false;
    witness->n_operations = 0;
    if (!states_number(texts, key, is_guessing, witness))
        return TEXTS_INVALID;
    for (int32_t g = 0; g < texts->n_added; g++)
        has_repeated = has_repeated || is_repeated(&texts->groups[g]);
    if (is_guessing && has_repeated && try_orders(texts, key, order, length, &found))
        return TEXTS_VALID;
    states_assign(texts, key, false);
    bool is_exact = is_guessing && !has_repeated;
    if (!judge_zones(texts, key, !is_exact, order, length, &found)) {
        accuse_all(texts, &found, witness);
        return TEXTS_INVALID;
    }
    return is_exact ? TEXTS_VALID : TEXTS_AMBIGUOUS;
}

enum texts_answer texts_judge(struct texts *texts, const struct texts_key *key, int32_t *order,
                              int32_t *length, struct witness *witness)
{
    witness->n_operations = 0;
    texts->first_get = -1;
    texts->has_guessed = false;
    *length = 0;
    if (!corpus_gather_added(texts, key))
        return TEXTS_AMBIGUOUS;
    enum texts_answer answer = TEXTS_INVALID;
    if (corpus_gather_answers(texts, key, witness))
        answer = judge_answers(texts, key, true, order, length, witness);
    if (answer != TEXTS_VALID && texts->has_guessed)
        answer = judge_answers(texts, key, false, order, length, witness);
    corpus_forget_numbers(texts, key);
    return answer;
}

uint64_t texts_bytes(int32_t n_max, int32_t n_values)
{
    size_t n = (size_t)n_max + 1, n_numbers = KINDS * ((size_t)n_values + 1);
    return n * (4 * sizeof(struct piece) + sizeof(struct zones_value) + sizeof(struct block) +
                sizeof(struct group) + sizeof(struct state) + 6 * sizeof(int32_t) + 2) +
           n_numbers * sizeof(int32_t);
}

uint64_t texts_key_bytes(const struct texts *texts)
{
    return beginnings_bytes(texts) + texts->held_most;
}

void texts_close(struct texts *texts)
{
    if (texts == NULL)
        return;
    beginnings_free(texts);
    free(texts->held);
    pages_release(texts->block, texts->block_bytes);
    free(texts);
}

struct texts *texts_open(const struct columns *columns, const struct keys_options *options,
                         int32_t n_max)
{
    size_t n = (size_t)n_max + 1, bytes = texts_bytes(n_max, options->n_values);
    struct texts *texts = calloc(1, sizeof *texts);
    void *block = pages_zeroed(bytes);
    if (texts == NULL || block == NULL) {
        pages_release(block, bytes);
        free(texts);
        return NULL;
    }
    texts->columns = columns;
    texts->options = options;
    texts->block = block;
    texts->block_bytes = bytes;
    struct piece **pieces[] = {&texts->added, &texts->answers, &texts->scratch, &texts->asked};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        *pieces[i] = pages_carve(&block, n, sizeof(struct piece));
    texts->blocks = pages_carve(&block, n, sizeof *texts->blocks);
    texts->values = pages_carve(&block, n, sizeof *texts->values);
    texts->groups = pages_carve(&block, n, sizeof *texts->groups);
    texts->states = pages_carve(&block, n, sizeof *texts->states);
    int32_t **integers[] = {&texts->want, &texts->make, &texts->group_of, &texts->members,
                            &texts->transition, &texts->leads};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        *integers[i] = pages_carve(&block, n, sizeof(int32_t));
    texts->numbers = pages_carve(&block, KINDS * ((size_t)options->n_values + 1), sizeof(int32_t));
    texts->kinds = pages_carve(&block, n, 1);
    texts->pure = pages_carve(&block, n, 1);
    return texts;
}
