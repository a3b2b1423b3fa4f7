/*
 * states.c: blocks of states, each from a put on (see states.h).
 */
#include "states.h"

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
    bool is_empty_first = texts->model.initial_bytes == 0;
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
    bool is_bare = root == 0 && texts->model.initial_bytes == 0;
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
                      struct texts_witness *witness)
{
    int32_t root = root_of(texts, answer, is_guessing);
    if (root == ANYWHERE)
        return ANYWHERE;
    witness->reason = TEXTS_PHANTOM;
    corpus_accuse(witness, answer->operation);
    if (root == NOWHERE)
        return NOWHERE;
    struct block *block = &texts->blocks[root];
    if (block->length > 0 && memcmp(answer->bytes, block->bytes, block->length) != 0) {
        if (!is_made(texts, answer, root))
            return NOWHERE;
        witness->reason = TEXTS_APART;
        corpus_accuse(witness, block->get);
        corpus_accuse(witness, texts->first_get);
        return NOWHERE;
    }
    for (size_t at = block->length; at < answer->length;) {
        int32_t at_group = corpus_find_group(texts, answer, at);
        struct group *group = at_group < 0 ? NULL : &texts->groups[at_group];
        if (group == NULL || group->n_appends == 0)
            return NOWHERE;
        if (group->n_states++ == group->n_appends) {
            witness->reason = TEXTS_TWICE;
            for (int32_t state = 0; state < texts->n_states; state++)
                if (texts->states[state].group == at_group)
                    corpus_accuse(witness, texts->blocks[texts->states[state].root].get);
            for (int32_t m = 0; m < group->n_appends; m++)
                corpus_accuse(witness, texts->members[group->first + group->n_puts + m]);
            corpus_accuse(witness, texts->first_get);
            return NOWHERE;
        }
        block->state = new_state(texts, root, block->state, at_group);
        at += texts->added[at_group].length;
    }
    *block = (struct block){answer->bytes, answer->length, block->state, answer->operation};
    witness->n_operations = 0;
    return block->state;
}

bool states_number(struct texts *texts, const struct texts_key *key, bool is_guessing,
                   struct texts_witness *witness)
{
    const struct texts_model *model = &texts->model;
    for (int32_t g = 0; g < texts->n_added; g++)
        texts->groups[g].n_states = 0;
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

bool states_assign(struct texts *texts, const struct texts_key *key, bool is_late)
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

bool states_survey(struct texts *texts, const struct texts_key *key, bool is_relaxed)
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

void states_bound(struct texts *texts)
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
