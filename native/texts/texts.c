/*
 * texts.c: texts judged as registers, without a search (see texts.h).
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include "texts.h"

#include <stdlib.h>

#include "beginnings.h"
#include "corpus.h"
#include "pages.h"
#include "states.h"
#include "zones.h"

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
                        int32_t *order, int32_t *length, struct zones_witness *found)
{
    struct zones zones = {
        .n_operations = key->n, .n_positions = key->n_events, .events = key->events,
        .want = texts->want, .make = texts->make, .values = texts->values,
        .n_values = texts->n_states, .has_cas = states_survey(texts, key, is_relaxed),
        .buckets = key->buckets};
    return zones_judge(&zones, is_relaxed ? NULL : order, length, found) == ZONES_VALID;
}

/* What zones found, and the gets that tell which block each operation belongs to. */
static void accuse_all(const struct texts *texts, const struct zones_witness *found,
                       struct texts_witness *witness)
{
    witness->reason = TEXTS_ZONES;
    witness->of_zones = found->reason;
    for (int32_t i = 0; i < found->n_operations; i++)
        corpus_accuse(witness, found->operations[i]);
    for (int32_t i = 0; i < found->n_operations; i++) {
        int32_t operation = found->operations[i];
        int32_t state = texts->make[operation] < 0 ? texts->want[operation]
                                                   : texts->make[operation];
        corpus_accuse(witness, texts->blocks[texts->states[state].root].get);
    }
    corpus_accuse(witness, texts->first_get);
}

/*
 * Try to find an order where texts may be taken apart in more than one way: of equal appends the
 * first that fits leads to each state, and then the last.
 */
static bool try_orders(struct texts *texts, const struct texts_key *key, int32_t *order,
                       int32_t *length, struct zones_witness *found)
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
                                       struct texts_witness *witness)
{
    struct zones_witness found;
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
                              int32_t *length, struct texts_witness *witness)
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

/* Memory. */

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

/* The next `n` of `size` bytes each. */
static void *carve(unsigned char **block, size_t n, size_t size)
{
    void *carved = *block;
    *block += n * size;
    return carved;
}

struct texts *texts_open(const struct columns *columns, const struct texts_model *model,
                         int32_t n_max, int32_t n_values)
{
    size_t n = (size_t)n_max + 1, bytes = texts_bytes(n_max, n_values);
    struct texts *texts = calloc(1, sizeof *texts);
    unsigned char *block = pages_zeroed(bytes);
    if (texts == NULL || block == NULL) {
        pages_release(block, bytes);
        free(texts);
        return NULL;
    }
    texts->columns = columns;
    texts->model = *model;
    texts->block = block;
    texts->block_bytes = bytes;
    struct piece **pieces[] = {&texts->added, &texts->answers, &texts->scratch, &texts->asked};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        *pieces[i] = carve(&block, n, sizeof(struct piece));
    texts->blocks = carve(&block, n, sizeof *texts->blocks);
    texts->values = carve(&block, n, sizeof *texts->values);
    texts->groups = carve(&block, n, sizeof *texts->groups);
    texts->states = carve(&block, n, sizeof *texts->states);
    int32_t **integers[] = {&texts->want, &texts->make, &texts->group_of, &texts->members,
                            &texts->transition, &texts->leads};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        *integers[i] = carve(&block, n, sizeof(int32_t));
    texts->numbers = carve(&block, KINDS * ((size_t)n_values + 1), sizeof(int32_t));
    texts->kinds = carve(&block, n, 1);
    texts->pure = carve(&block, n, 1);
    return texts;
}
