/*
 * values.c: characters and escapes; ids of numbers, texts, lists and maps.
 */
#include "values.h"

#include <stdio.h>
#include <stdlib.h>

size_t utf8_length(const uint8_t *at, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (length < 2 || length > left || at[0] > 0xf4)
        return length == 1;
    uint32_t code = at[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fU);
    }
    bool is_valid = code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return is_valid ? length : 0;
}

const uint8_t *utf8_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t words[4];
        if (end - at >= (ptrdiff_t)sizeof words) {
            memcpy(words, at, sizeof words);
            if (!((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080))) {
                at += sizeof words;
                continue;
            }
        }
        size_t length = utf8_length(at, (size_t)(end - at));
        if (!length)
            return at;
        at += length;
    }
    return end;
}

size_t utf8_write(uint8_t *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (uint8_t)(0xc0 | code >> 6);
        to[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (uint8_t)(0xe0 | code >> 12);
        to[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | code >> 18);
    to[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

int32_t utf8_hex4(const uint8_t *at, const uint8_t *end)
{
    int32_t code = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int32_t low = at[i] | 0x20;
        int32_t digit = is_digit(at[i]) ? at[i] - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10
                                                                                : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* One escape after its backslash; returns the bytes read, 0 when unknown. */
static size_t escape(const uint8_t *at, const uint8_t *end, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
    if (at == end)
        return 0;
    const char *name = *at ? strchr(names, *at) : NULL;
    if (name) {
        *code = (uint8_t)characters[name - names];
        return 1;
    }
    int32_t high = *at == 'u' ? utf8_hex4(at + 1, end) : -1;
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff)
        return 5;
    bool is_pair = end - at >= 11 && at[5] == '\\' && at[6] == 'u';
    int32_t low = is_pair ? utf8_hex4(at + 7, end) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return 11;
}

bool value_unescaped(struct load *l, struct span raw, struct span *text)
{
    const uint8_t *at = raw.at, *end = raw.at + raw.length;
    size_t length = 0;
    if (raw.length > l->text_capacity) {
        uint8_t *moved = load_grown(l->text, &l->text_capacity, raw.length, 1);
        if (!moved)
            return load_no_memory(l);
        l->text = moved;
    }
    while (at < end) {
        uint32_t code;
        if (*at != '\\') {
            l->text[length++] = *at++;
            continue;
        }
        size_t read = escape(at + 1, end, &code);
        if (!read)
            return load_fail(l, LOAD_SYNTAX, at, "a string has an unknown escape");
        at += 1 + read;
        length += utf8_write(l->text + length, code); /* never longer than its escape */
    }
    *text = (struct span){l->text, length};
    return true;
}

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
    if (text.length > LOAD_TEXT_BYTES_MAX)
        return NO_ID(l, l->at, "expected a text of at most %d bytes", LOAD_TEXT_BYTES_MAX);
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
    if (count > LOAD_ITEMS_MAX)
        return NO_ID(l, l->at, "expected at most %d items", LOAD_ITEMS_MAX);
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
    if (count > LOAD_ITEMS_MAX / 2)
        return NO_ID(l, l->at, "expected at most %d items", LOAD_ITEMS_MAX);
    l->stack_n = from;
    if (l->skips || !count)
        return value_of_data(l, LOAD_MAP, "", 0);
    struct pair *pairs = malloc(count * sizeof *pairs);
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
