/*
 * values.c: ids of numbers, texts, lists and maps.
 */
#include "values.h"

#include <stdio.h>
#include <stdlib.h>

int32_t value_of_word(struct load *l, uint8_t tag, int64_t word)
{
    if (l->skips)
        return 0;
    int32_t id = intern_word(&l->values, tag, word);
    if (id < 0)
        load_no_memory(l);
    return id;
}

static int32_t value_of_data(struct load *l, uint8_t tag, const void *data, size_t length)
{
    if (l->skips)
        return 0;
    int32_t id = intern_data(&l->values, tag, data, length);
    if (id < 0)
        load_no_memory(l);
    return id;
}

/* The id of bytes; the tag says how they are read. */
static int32_t value_of_bytes(struct load *l, uint8_t tag, struct span text)
{
    if (text.length > LOAD_TEXT_BYTES_MAX) {
        load_fail(l, LOAD_SYNTAX, l->at, "expected a text of at most %d bytes",
                  LOAD_TEXT_BYTES_MAX);
        return -1;
    }
    return value_of_data(l, tag, text.at, text.length);
}

int32_t value_of_text(struct load *l, struct span text)
{
    return value_of_bytes(l, LOAD_TEXT, text);
}

int32_t value_of_json(struct load *l, struct span text)
{
    return value_of_bytes(l, LOAD_JSON_TEXT, text);
}

int32_t value_of_double(struct load *l, double number)
{
    int64_t word;
    if (number == 0)
        number = 0; /* -0.0 equals 0.0 */
    memcpy(&word, &number, sizeof word);
    return value_of_word(l, LOAD_FLOAT, word);
}

int32_t value_of_integer(struct load *l, struct span text)
{
    bool is_negative = text.at[0] == '-';
    size_t i = text.at[0] == '-' || text.at[0] == '+';
    while (i + 1 < text.length && text.at[i] == '0')
        i++;
    struct span digits = {text.at + i, text.length - i};
    uint64_t number = 0;
    for (i = 0; i < digits.length && i < 19; i++)
        number = number * 10 + (uint64_t)(digits.at[i] - '0');
    if (digits.length <= 19 && number <= INT64_MAX)
        return value_of_word(l, LOAD_INTEGER, is_negative ? -(int64_t)number : (int64_t)number);
    char large[LOAD_DIGITS_MAX + 1];
    large[0] = '-';
    memcpy(large + is_negative, digits.at, digits.length);
    return value_of_data(l, LOAD_LARGE, large, digits.length + is_negative);
}

/* The point is taken out, because strtod would ask the locale what it is. */
double value_decimal(struct span text)
{
    char digits[LOAD_DIGITS_MAX + 32];
    size_t length = 0;
    long exponent = 0, written = 0;
    const uint8_t *at = text.at, *end = text.at + text.length;
    for (bool is_fraction = false; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            is_fraction = true;
            continue;
        }
        exponent -= is_fraction;
        digits[length++] = (char)*at;
    }
    if (at < end) {
        bool is_negative = *++at == '-';
        at += *at == '-' || *at == '+';
        for (; at < end; at++)
            written = written < 100000 ? written * 10 + (*at - '0') : written;
        exponent += is_negative ? -written : written;
    }
    snprintf(digits + length, 32, "e%ld", exponent);
    return strtod(digits, NULL);
}

bool value_is_short_number(struct load *l, struct span text)
{
    if (text.length <= LOAD_DIGITS_MAX)
        return true;
    return load_fail(l, LOAD_SYNTAX, text.at, "expected a number of at most %d digits",
                     LOAD_DIGITS_MAX);
}

bool value_push(struct load *l, int32_t id)
{
    if (l->stack_n == l->stack_capacity) {
        void *moved = load_grown(l->stack, &l->stack_capacity, l->stack_n + 1, sizeof *l->stack);
        if (!moved)
            return load_no_memory(l);
        l->stack = moved;
    }
    l->stack[l->stack_n++] = id;
    return true;
}

int32_t value_pop_list(struct load *l, size_t from)
{
    size_t count = l->stack_n - from;
    l->stack_n = from;
    if (count > LOAD_ITEMS_MAX) {
        load_fail(l, LOAD_SYNTAX, l->at, "expected at most %d items", LOAD_ITEMS_MAX);
        return -1;
    }
    const void *items = count ? l->stack + from : (const void *)"";
    return value_of_data(l, LOAD_LIST, items, count * sizeof *l->stack);
}

/* A pair of a map, and where it stood: of one key the last pair counts. */
struct pair {
    int32_t key, value;
    size_t position;
};

static int by_key(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

int32_t value_pop_map(struct load *l, size_t from)
{
    size_t count = (l->stack_n - from) / 2, kept = 0;
    int32_t *items = l->stack + from;
    struct pair *pairs = NULL;
    if (count > LOAD_ITEMS_MAX / 2) {
        load_fail(l, LOAD_SYNTAX, l->at, "expected at most %d items", LOAD_ITEMS_MAX);
        return -1;
    }
    l->stack_n = from;
    if (l->skips || !count)
        return value_of_data(l, LOAD_MAP, "", 0);
    pairs = malloc(count * sizeof *pairs);
    if (!pairs) {
        load_no_memory(l);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct pair){items[2 * i], items[2 * i + 1], i};
    qsort(pairs, count, sizeof *pairs, by_key);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && pairs[i + 1].key == pairs[i].key)
            continue;
        items[kept++] = pairs[i].key;
        items[kept++] = pairs[i].value;
    }
    free(pairs);
    return value_of_data(l, LOAD_MAP, items, kept * sizeof *items);
}
