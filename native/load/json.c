/*
 * json.c: values in JSON.
 *
 * Source: RFC 8259.
 */
#include "json.h"

#include <math.h>

bool json_fail(struct load *l, const char *expected)
{
    if (l->at >= l->end)
        return load_fail(l, LOAD_SYNTAX, l->at, "expected %s, the %s ends", expected,
                         l->loaded.format == LOAD_JSON_LINES ? "line" : "text");
    return load_fail(l, LOAD_SYNTAX, l->at, "expected %s, got '%.*s'", expected,
                     (int)utf8_length(l->at, (size_t)(l->end - l->at)), (const char *)l->at);
}

bool json_byte(struct load *l, uint8_t byte, const char *expected)
{
    json_blank(l);
    if (l->at >= l->end || *l->at != byte)
        return json_fail(l, expected);
    l->at++;
    return true;
}

static bool json_digits(struct load *l)
{
    if (l->at >= l->end || !is_digit(*l->at))
        return json_fail(l, "a digit");
    while (l->at < l->end && is_digit(*l->at))
        l->at++;
    return true;
}

bool json_number(struct load *l, struct span *text, bool *is_float)
{
    const uint8_t *start = l->at;
    *is_float = false;
    l->at += *l->at == '-';
    if (l->at < l->end && *l->at == '0' && l->end - l->at > 1 && is_digit(l->at[1]))
        return load_fail(l, LOAD_SYNTAX, l->at, "a number begins with 0");
    if (!json_digits(l))
        return false;
    if (l->at < l->end && *l->at == '.') {
        *is_float = true;
        l->at++;
        if (!json_digits(l))
            return false;
    }
    if (l->at < l->end && (*l->at == 'e' || *l->at == 'E')) {
        *is_float = true;
        l->at++;
        l->at += l->at < l->end && (*l->at == '+' || *l->at == '-');
        if (!json_digits(l))
            return false;
    }
    *text = (struct span){start, (size_t)(l->at - start)};
    return value_is_short_number(l, *text);
}

static int32_t json_number_value(struct load *l)
{
    struct span text;
    bool is_float;
    if (!json_number(l, &text, &is_float))
        return -1;
    if (!is_float)
        return value_of_integer(l, text);
    double number = value_decimal(text);
    return isinf(number) ? NO_ID(l, text.at, "a number is out of range")
                         : value_of_double(l, number);
}

int32_t json_word(struct load *l)
{
    static const struct {
        const char *text;
        size_t length;
        uint8_t tag;
    } words[] = {{"null", 4, LOAD_NIL}, {"true", 4, LOAD_TRUE}, {"false", 5, LOAD_FALSE}};
    static const struct {
        const char *text;
        size_t length;
        double number;
    } numbers[] = {{"NaN", 3, NAN}, {"Infinity", 8, INFINITY}, {"-Infinity", 9, -INFINITY}};
    for (int i = 0; i < 3; i++) { /* as Python writes them */
        if ((size_t)(l->end - l->at) >= numbers[i].length &&
            memcmp(l->at, numbers[i].text, numbers[i].length) == 0) {
            l->at += numbers[i].length;
            return value_of_double(l, numbers[i].number);
        }
    }
    for (int i = 0; i < 3; i++) {
        if ((size_t)(l->end - l->at) >= words[i].length &&
            memcmp(l->at, words[i].text, words[i].length) == 0) {
            l->at += words[i].length;
            return words[i].tag == LOAD_NIL ? 0 : value_of_word(l, words[i].tag, 0);
        }
    }
    json_fail(l, "a value");
    return -1;
}

/* Read and push the key of a map, up to its value. */
static bool json_map_key(struct load *l)
{
    struct span name;
    if (!json_text(l, "a key of a map", &name))
        return false;
    int32_t key = value_of_text(l, name);
    return key >= 0 && value_push(l, key) && json_byte(l, ':', "':'");
}

bool json_items(struct load *l, uint8_t closing, int depth)
{
    l->at++;
    json_blank(l);
    if (l->at < l->end && *l->at == closing) {
        l->at++;
        return true;
    }
    for (;;) {
        if (closing == '}' && !json_map_key(l))
            return false;
        int32_t item = json_value(l, depth + 1);
        if (item < 0 || !value_push(l, item))
            return false;
        json_blank(l);
        if (l->at >= l->end || *l->at != ',')
            return json_byte(l, closing, closing == ']' ? "',' or ']'" : "',' or '}'");
        l->at++;
    }
}

int32_t json_value(struct load *l, int depth)
{
    struct span text;
    size_t from = l->stack_n;
    json_blank(l);
    if (!value_is_shallow(l, depth))
        return -1;
    switch (l->at < l->end ? *l->at : 0) {
    case '"':
        return value_string(l, true, &text) ? value_of_text(l, text) : -1;
    case '[':
        return json_items(l, ']', depth) ? value_pop_list(l, from) : -1;
    case '{':
        return json_items(l, '}', depth) ? value_pop_map(l, from) : -1;
    case '-':
        return l->end - l->at > 1 && l->at[1] == 'I' ? json_word(l) : json_number_value(l);
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return json_number_value(l);
    default:
        return json_word(l);
    }
}

static bool json_more_items(struct load *l, const uint8_t *start, int depth, bool is_first)
{
    (void)start;
    (void)depth;
    json_blank(l);
    if (l->at < l->end && *l->at == ']') {
        l->at++;
        return false;
    }
    if (!is_first && !json_byte(l, ',', "',' or ']'"))
        return false;
    json_blank(l);
    return l->at < l->end || json_fail(l, "a value");
}

const struct notation json_notation = {json_more_items, json_value, false};
