/*
 * edn.c: forms of EDN.
 *
 * Source: github.com/edn-format/edn.
 */
#include "edn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum edn_class { EDN_SPACE = 1, EDN_BREAK = 2 };

/* White space, and what else ends an atom. */
static const uint8_t edn_classes[256] = {
    ['\t'] = EDN_SPACE, ['\n'] = EDN_SPACE, ['\v'] = EDN_SPACE, ['\f'] = EDN_SPACE,
    ['\r'] = EDN_SPACE, [0x1c] = EDN_SPACE, [0x1d] = EDN_SPACE, [0x1e] = EDN_SPACE,
    [0x1f] = EDN_SPACE, [' '] = EDN_SPACE,  [','] = EDN_SPACE,  ['"'] = EDN_BREAK,
    [';'] = EDN_BREAK,  ['('] = EDN_BREAK,  [')'] = EDN_BREAK,  ['['] = EDN_BREAK,
    [']'] = EDN_BREAK,  ['{'] = EDN_BREAK,  ['}'] = EDN_BREAK,
};

static inline bool edn_is_space(uint8_t c)
{
    return edn_classes[c] == EDN_SPACE;
}

bool edn_is_end(uint8_t c)
{
    return edn_classes[c] != 0;
}

static void edn_skip(struct load *l)
{
    while (l->at < l->end) {
        if (edn_is_space(*l->at)) {
            l->at++;
        } else if (*l->at == ';') {
            const uint8_t *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
            l->at = newline ? newline + 1 : l->end;
        } else {
            return;
        }
    }
}

static int32_t edn_present(struct load *l, int depth);

enum edn_next edn_next(struct load *l, int depth)
{
    for (;;) {
        edn_skip(l);
        if (l->at >= l->end)
            return EDN_END;
        if (*l->at == ']' || *l->at == ')' || *l->at == '}')
            return EDN_CLOSE;
        if (l->end - l->at < 2 || l->at[0] != '#' || l->at[1] != '_')
            return EDN_FORM;
        bool skips = l->skips;
        l->at += 2;
        l->skips = true;
        bool is_read = edn_present(l, depth + 1) >= 0;
        l->skips = skips;
        if (!is_read)
            return EDN_ERROR;
    }
}

bool edn_fail(struct load *l, const char *expected)
{
    if (l->at >= l->end)
        return load_fail(l, LOAD_SYNTAX, l->at, "expected %s, the text ends", expected);
    struct span got = {l->at, utf8_length(l->at, (size_t)(l->end - l->at))};
    return load_fail(l, LOAD_SYNTAX, l->at, "expected %s, got '%.*s'", expected, SPAN_SHOWN(got));
}

/* Read the next form that is not discarded; returns its id, or -1. */
static int32_t edn_present(struct load *l, int depth)
{
    if (!value_is_shallow(l, depth))
        return -1;
    enum edn_next next = edn_next(l, depth);
    if (next == EDN_FORM)
        return edn_form(l, depth);
    if (next != EDN_ERROR)
        edn_fail(l, "a form");
    return -1;
}

bool edn_more(struct load *l, uint8_t closing, const uint8_t *start, int depth)
{
    enum edn_next next = edn_next(l, depth);
    if (next == EDN_FORM || next == EDN_ERROR)
        return next == EDN_FORM;
    if (next == EDN_END)
        return load_fail(l, LOAD_SYNTAX, start, "'%c' is never closed", *start);
    if (*l->at != closing)
        return load_fail(l, LOAD_SYNTAX, l->at, "expected '%c', got '%c'", closing, *l->at);
    l->at++;
    return false;
}

bool edn_items(struct load *l, uint8_t closing, const uint8_t *start, int depth)
{
    while (edn_more(l, closing, start, depth + 1)) {
        int32_t item = edn_form(l, depth + 1);
        if (item < 0 || !value_push(l, item))
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

/* Read a list, vector or set after its bracket. */
static int32_t edn_list(struct load *l, uint8_t closing, const uint8_t *start, int depth)
{
    size_t from = l->stack_n;
    return edn_items(l, closing, start, depth) ? value_pop_list(l, from) : -1;
}

static int by_id(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Read a set after its bracket: a list by rising id, because its order means nothing. */
static int32_t edn_set(struct load *l, const uint8_t *start, int depth)
{
    size_t from = l->stack_n;
    if (!edn_items(l, '}', start, depth))
        return -1;
    if (l->stack_n > from)
        qsort(l->stack + from, l->stack_n - from, sizeof *l->stack, by_id);
    return value_pop_list(l, from);
}

/* The id of a key of a map as a text, or -1: what is neither text nor integer is as written, which
 * is `raw`. */
static int32_t edn_key(struct load *l, int32_t key, struct span raw)
{
    char digits[24];
    if (l->skips)
        return 0;
    switch (l->values.tags[key]) {
    case LOAD_TEXT:
        return key;
    case LOAD_INTEGER:
        raw.length = (size_t)snprintf(digits, sizeof digits, "%lld",
                                      (long long)l->values.words[key]);
        return value_of_text(l, (struct span){(const uint8_t *)digits, raw.length});
    default:
        return value_of_text(l, raw);
    }
}

static int32_t edn_map(struct load *l, int depth)
{
    const uint8_t *start = l->at++;
    size_t from = l->stack_n;
    while (edn_more(l, '}', start, depth + 1)) {
        const uint8_t *key_start = l->at;
        int32_t key = edn_form(l, depth + 1);
        if (key < 0)
            return -1;
        key = edn_key(l, key, (struct span){key_start, (size_t)(l->at - key_start)});
        if (key < 0 || !value_push(l, key))
            return -1;
        if (!edn_more(l, '}', start, depth + 1))
            return NO_ID(l, start, "a map has a key without a value");
        int32_t value = edn_form(l, depth + 1);
        if (value < 0 || !value_push(l, value))
            return -1;
    }
    return l->loaded.status == LOAD_OK ? value_pop_map(l, from) : -1;
}

struct span edn_atom(struct load *l)
{
    const uint8_t *start = l->at;
    while (l->at < l->end && !edn_is_end(*l->at))
        l->at++;
    return (struct span){start, (size_t)(l->at - start)};
}

bool edn_tag(struct load *l)
{
    const uint8_t *start = l->at++;
    if (l->at < l->end && (edn_is_letter(*l->at) || *l->at == ':')) { /* #tag form, #:space{} */
        edn_atom(l);
        return true;
    }
    return load_fail(l, LOAD_SYNTAX, start, "expected a form, got '#'");
}

/* ##NaN, ##Inf or ##-Inf. */
static int32_t edn_symbolic(struct load *l)
{
    struct span text = edn_atom(l);
    if (SPAN_IS(text, "##NaN"))
        return value_of_double(l, NAN);
    if (SPAN_IS(text, "##Inf") || SPAN_IS(text, "##-Inf"))
        return value_of_double(l, text.at[2] == '-' ? -INFINITY : INFINITY);
    return NO_ID(l, text.at, "expected ##NaN, ##Inf or ##-Inf, got '%.*s'", SPAN_SHOWN(text));
}

/* What is no EDN, but printed by Clojure: #"a regex", #'var and #<an object>, as a text. */
static int32_t edn_printed(struct load *l, uint8_t closing)
{
    const uint8_t *start = l->at;
    for (l->at += 2; l->at < l->end && *l->at != closing; l->at++)
        l->at += *l->at == '\\' && closing == '"' && l->end - l->at > 1;
    if (l->at >= l->end)
        return NO_ID(l, start, "'#%c' is never closed", start[1]);
    l->at++;
    return value_of_text(l, (struct span){start, (size_t)(l->at - start)});
}

static int32_t edn_dispatch(struct load *l, int depth)
{
    const uint8_t *start = l->at;
    switch (l->end - l->at > 1 ? l->at[1] : 0) {
    case '{':
        l->at += 2;
        return edn_set(l, start, depth);
    case '#':
        return edn_symbolic(l);
    case '"':
        return edn_printed(l, '"');
    case '<':
        return edn_printed(l, '>');
    case '\'':
        return value_of_text(l, edn_atom(l));
    default:
        return edn_tag(l) ? edn_present(l, depth + 1) : -1;
    }
}

/* Read ^metadata, which is left out, and the form after it. */
static int32_t edn_described(struct load *l, int depth)
{
    bool skips = l->skips;
    l->at++;
    l->skips = true;
    bool is_read = edn_present(l, depth + 1) >= 0;
    l->skips = skips;
    return is_read ? edn_present(l, depth + 1) : -1;
}

static int32_t edn_character(struct load *l)
{
    static const struct {
        const char *name;
        size_t length;
        char character;
    } names[] = {{"newline", 7, '\n'}, {"space", 5, ' '},     {"tab", 3, '\t'},
                 {"return", 6, '\r'},  {"formfeed", 8, '\f'}, {"backspace", 9, '\b'}};
    uint8_t text[4];
    const uint8_t *at = ++l->at;
    size_t left = (size_t)(l->end - at);
    for (int i = 0; i < 6; i++) {
        if (left >= names[i].length && memcmp(at, names[i].name, names[i].length) == 0) {
            l->at += names[i].length;
            return value_of_text(l, (struct span){(const uint8_t *)&names[i].character, 1});
        }
    }
    int32_t code = left >= 5 && *at == 'u' ? utf8_hex4(at + 1, l->end) : -1;
    if (code >= 0 && (code < 0xd800 || code > 0xdfff)) {
        l->at += 5;
        return value_of_text(l, (struct span){text, utf8_write(text, (uint32_t)code)});
    }
    if (code >= 0 || !left || (edn_is_space(*at) && *at != ','))
        return NO_ID(l, at - 1, "expected a character after '\\'");
    l->at += utf8_length(at, left); /* the whole input is UTF-8 */
    return value_of_text(l, (struct span){at, (size_t)(l->at - at)});
}

static size_t edn_digits(struct span text, size_t from)
{
    while (from < text.length && is_digit(text.at[from]))
        from++;
    return from;
}

/* The id of a ratio as a float. Both parts are exact, so the quotient is rounded once. */
static int32_t edn_ratio(struct load *l, struct span text, size_t slash)
{
    struct span over = {text.at, slash}, under = {text.at + slash + 1, text.length - slash - 1};
    double quotient = value_decimal(over) / value_decimal(under);
    if (over.length > 15 || under.length > 15 || isinf(quotient) || isnan(quotient))
        return NO_ID(l, text.at, "expected a ratio of at most 15 digits, not over 0");
    return value_of_double(l, quotient);
}

/* The id of an integer after 0x. */
static int32_t edn_hexadecimal(struct load *l, struct span text, size_t from)
{
    int64_t number = 0;
    size_t digits = text.length - from - 2;
    for (size_t i = from + 2; i < text.length; i++) {
        int32_t low = text.at[i] | 0x20;
        int32_t digit = is_digit(text.at[i]) ? text.at[i] - '0'
                        : low >= 'a' && low <= 'f' ? low - 'a' + 10 : 16;
        if (digit == 16 || digits > 15)
            return NO_ID(l, text.at, "expected a number, got '%.*s'", SPAN_SHOWN(text));
        number = number * 16 + digit;
    }
    return value_of_word(l, LOAD_INTEGER, from && text.at[0] == '-' ? -number : number);
}

/* The id of a number that begins with a digit at `from`, or -1. */
static int32_t edn_number(struct load *l, struct span text, size_t from)
{
    if (!value_is_short_number(l, text))
        return -1;
    if (text.length > from + 2 && text.at[from] == '0' && (text.at[from + 1] | 0x20) == 'x')
        return edn_hexadecimal(l, text, from);
    size_t i = edn_digits(text, from);
    if (i == text.length || (i + 1 == text.length && text.at[i] == 'N'))
        return value_of_integer(l, (struct span){text.at, i});
    if (text.at[i] == '/' && i + 1 < text.length && edn_digits(text, i + 1) == text.length)
        return edn_ratio(l, text, i);
    if (text.at[i] == '.')
        i = edn_digits(text, i + 1);
    if (i < text.length && (text.at[i] | 0x20) == 'e') {
        size_t sign = i + 1 < text.length && (text.at[i + 1] == '+' || text.at[i + 1] == '-');
        size_t end = edn_digits(text, i + 1 + sign);
        i = end > i + 1 + sign ? end : i;
    }
    size_t length = i;
    i += i < text.length && text.at[i] == 'M';
    if (i == text.length)
        return value_of_double(l, value_decimal((struct span){text.at, length}));
    if (from)
        return value_of_text(l, text); /* a symbol, such as -1x */
    return NO_ID(l, text.at, "expected a number, got '%.*s'", SPAN_SHOWN(text));
}

static int32_t edn_atom_value(struct load *l)
{
    struct span text = edn_atom(l);
    size_t sign = text.at[0] == '-' || text.at[0] == '+';
    if (text.at[0] == ':')
        return value_of_text(l, (struct span){text.at + 1, text.length - 1});
    if (text.length > sign && is_digit(text.at[sign]))
        return edn_number(l, text, sign);
    if (SPAN_IS(text, "nil") || SPAN_IS(text, "null")) /* JSON may look like EDN */
        return 0;
    if (SPAN_IS(text, "true"))
        return value_of_word(l, LOAD_TRUE, 0);
    if (SPAN_IS(text, "false"))
        return value_of_word(l, LOAD_FALSE, 0);
    return value_of_text(l, text);
}

int32_t edn_form(struct load *l, int depth)
{
    struct span text;
    const uint8_t *start = l->at;
    if (!value_is_shallow(l, depth))
        return -1;
    switch (*l->at) {
    case '"':
        return value_string(l, false, &text) ? value_of_text(l, text) : -1;
    case '[':
        l->at++;
        return edn_list(l, ']', start, depth);
    case '(':
        l->at++;
        return edn_list(l, ')', start, depth);
    case '{':
        return edn_map(l, depth);
    case '#':
        return edn_dispatch(l, depth);
    case '^':
        return edn_described(l, depth);
    case '\\':
        return edn_character(l);
    default:
        return edn_atom_value(l);
    }
}

bool edn_text(struct load *l, const char *expected, struct span *text)
{
    const uint8_t *start = l->at;
    if (*l->at == ':') {
        *text = edn_atom(l);
        *text = (struct span){text->at + 1, text->length - 1};
        return true;
    }
    bool skips = l->skips;
    l->skips = false;
    int32_t id = edn_form(l, 1);
    l->skips = skips;
    if (id < 0)
        return false;
    if (l->values.tags[id] != LOAD_TEXT)
        return load_fail(l, LOAD_SYNTAX, start, "expected %s", expected);
    *text = (struct span){intern_bytes(&l->values, id), intern_length(&l->values, id)};
    return true;
}

bool edn_any(struct load *l, int32_t *id)
{
    *id = edn_form(l, 1);
    return *id >= 0;
}

static bool edn_more_items(struct load *l, const uint8_t *start, int depth, bool is_first)
{
    (void)is_first; /* commas are blanks */
    return edn_more(l, *start == '(' ? ')' : ']', start, depth);
}

const struct notation edn_notation = {edn_more_items, edn_form, true};
