/*
 * keys.c: who wrote each value of a key (see engine.h).
 */
#include "engine.h"

void keys_index(struct engine *engine, int32_t key)
{
    const struct micro *micro = engine->micro;
    int32_t last = NOBODY;
    for (int32_t e = engine->key_first[key + 1] - 1; e >= engine->key_first[key]; e--) {
        struct entry at = engine->entries[e];
        if (micro->kind[at.micro] == MICRO_READ)
            continue;
        int32_t value = micro->value[at.micro];
        struct slot *slot = &engine->slots[value];
        bool is_initial = engine->options->rules == TRANSACTIONS_WR && value == 0;
        if (slot->writer != 0 || is_initial) {
            slot->is_repeated = true;
            engine->outcome->ambiguous[key] = 1;
        }
        slot->writer = e + 1;
        slot->is_final = at.operation != last;
        last = at.operation;
    }
}
