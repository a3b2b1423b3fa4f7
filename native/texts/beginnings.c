/*
 * beginnings.c: a search over the beginnings of texts (texts_search): each state is the beginning of
 * what some get returned.
 *
 * States live in `places`, numbered as they are met. Limits: CELLS_MAX cells of a whole table; past
 * that, and where nothing crashed, states are made while the search runs (lazy.c). Memory: 24 bytes
 * a state.
 */
#include <stdlib.h>

#include "corpus.h"

#include "search.h"

#define CELLS_MAX ((uint64_t)1 << 18)
#define TABLE_BYTES (sizeof(int32_t) * CELLS_MAX)
#define FIRST_PLACES 64
#define PLACES_PART 4 /* this part of the budget is for the states; the rest is for the search */
#define APART (-1) /* in place of a get: no get begins so */
#define STEP_FAILED (-2)

/* How a text of two parts compares with what a get returned: 0 where the get begins with it. */
static int compare_parts(const struct piece *answer, const uint8_t *bytes, size_t length,
                         const struct piece *more)
{
    size_t least = answer->length < length ? answer->length : length;
    int order = least == 0 ? 0 : memcmp(answer->bytes, bytes, least);
    if (order != 0 || answer->length < length)
        return order != 0 ? order : -1;
    size_t left = answer->length - length;
    least = left < more->length ? left : more->length;
    order = least == 0 ? 0 : memcmp(answer->bytes + length, more->bytes, least);
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
    if (capacity > INT32_MAX / 4 || places_bytes(capacity) > texts->places_limit)
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

void beginnings_free(struct texts *texts)
{
    free(texts->places);
    free(texts->buckets);
    free(texts->next);
    texts->places = NULL;
    texts->buckets = texts->next = NULL;
    texts->n_places = texts->places_capacity = 0;
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
    const uint8_t *bytes = before.length == 0 ? NULL : texts->answers[before.get].bytes;
    int32_t low = 0, high = texts->n_answers;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (compare_parts(&texts->answers[middle], bytes, before.length, more) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == texts->n_answers ||
        compare_parts(&texts->answers[low], bytes, before.length, more) != 0)
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

/* Number the distinct operations, and sort what the gets returned. */
static void number_transitions(struct texts *texts, const struct texts_key *key)
{
    texts->n_transitions = texts->n_answers = 0;
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
                texts->asked[t].head = piece_head(texts->asked[t].bytes, texts->asked[t].length);
                if (kind == GET)
                    texts->answers[texts->n_answers++] = texts->asked[t];
            }
        }
        texts->transition[i] = *number - 1;
    }
    corpus_forget_numbers(texts, key);
    pieces_sort(texts->answers, texts->scratch, texts->n_answers);
}

/* Number the states that are known beforehand; the initial one is 0. */
static int number_places(struct texts *texts)
{
    struct piece initial = initial_piece(texts);
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
    if (places_bytes(texts->places_capacity) + TABLE_BYTES > texts->places_limit ||
        (texts->next = malloc(TABLE_BYTES)) == NULL)
        return false;
    texts->places_limit -= TABLE_BYTES;
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
    uint64_t places_limit = texts->places_limit = max_bytes / PLACES_PART;
    number_transitions(texts, key);
    *error = SEARCH_NO_MEMORY;
    if (number_places(texts) != 0)
        return NULL;
    bool has_crashed = false; /* else a whole table would tell nothing more (lazy.c) */
    for (int32_t i = 0; i < key->n; i++)
        has_crashed = has_crashed || key->ret[i] == SEARCH_NEVER;
    struct search_problem problem = {
        .n_operations = key->n, .n_transitions = texts->n_transitions,
        .transition = texts->transition, .inv = key->inv, .ret = key->ret,
        .max_configurations = max_configurations, .max_bytes = max_bytes - places_limit};
    if (has_crashed && make_table(texts)) {
        problem.n_states = texts->n_places;
        problem.next = texts->next;
    } else {
        problem.step = step;
        problem.context = texts;
        problem.pure = texts->pure;
    }
    return search_open(&problem, error);
}

uint64_t beginnings_bytes(const struct texts *texts)
{
    return places_bytes(texts->places_capacity) + (texts->next == NULL ? 0 : TABLE_BYTES);
}
