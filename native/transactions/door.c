/*
 * door.c: columns and micro-operations of any content are looked at once, so that nothing later
 * reads outside of them (see engine.h).
 */
#include "engine.h"

static bool fits(struct engine *engine, int64_t place, bool holds)
{
    if (!holds) {
        engine->outcome->status = TRANSACTIONS_MALFORMED;
        engine->outcome->place = place;
    }
    return holds;
}

/* Whether an ok read is what the rules know: a list or nothing, or one value. */
static bool is_answer(const struct engine *engine, int64_t at)
{
    const struct micro *micro = engine->micro;
    if (engine->options->rules == TRANSACTIONS_WR)
        return micro->list[at] == MICRO_NONE;
    return micro->list[at] != MICRO_NONE || micro->value[at] == MICRO_NONE || micro->value[at] == 0;
}

static bool check_one(struct engine *engine, int64_t at, bool is_of_ok)
{
    const struct micro *micro = engine->micro;
    int32_t value = micro->value[at];
    int64_t list = micro->list[at];
    uint8_t written = engine->options->rules == TRANSACTIONS_WR ? MICRO_WRITE : MICRO_APPEND;
    if (micro->key[at] < 0 || micro->key[at] >= micro->keys_n || value < MICRO_NONE ||
        value == INT32_MAX)
        return false;
    if (value >= engine->values_n)
        engine->values_n = value + 1;
    if (micro->kind[at] != MICRO_READ)
        return micro->kind[at] == written && value >= 0;
    if (!is_of_ok)
        return true;
    if (list != MICRO_NONE && (list < 0 || micro->length[at] < 0 ||
                               list > micro->items_n - micro->length[at]))
        return false;
    if (list != MICRO_NONE && micro->length[at] > engine->length_max)
        engine->length_max = micro->length[at];
    return is_answer(engine, at);
}

bool door_check(struct engine *engine)
{
    const struct micro *micro = engine->micro;
    const struct columns *columns = engine->columns;
    int32_t n = columns->n;
    if (!fits(engine, -1, n >= 0 && micro->operations == n && micro->n >= 0 && micro->keys_n >= 0 &&
                              micro->items_n >= 0 && micro->first[0] == 0 &&
                              micro->first[n] == micro->n))
        return false;
    if (micro->n >= INT32_MAX || micro->items_n >= INT32_MAX) {
        engine->outcome->status = TRANSACTIONS_LARGE;
        return false;
    }
    for (int32_t i = 0; i < n; i++)
        if (!fits(engine, micro->first[i], micro->first[i] <= micro->first[i + 1] &&
                                               micro->first[i + 1] <= micro->n &&
                                               columns->type[i] >= COLUMNS_OK &&
                                               columns->type[i] <= COLUMNS_INFO))
            return false;
    for (int32_t i = 0; i < n; i++)
        for (int64_t at = micro->first[i]; at < micro->first[i + 1]; at++)
            if (!fits(engine, at, check_one(engine, at, columns->type[i] == COLUMNS_OK)))
                return false;
    for (int64_t at = 0; at < micro->items_n; at++) {
        if (!fits(engine, -1, micro->items[at] >= 0 && micro->items[at] < INT32_MAX))
            return false;
        if (micro->items[at] >= engine->values_n)
            engine->values_n = micro->items[at] + 1;
    }
    return true;
}
