/*
 * values.h: what JSON and EDN have in common: characters, numbers, quoted texts, lists and maps of
 * ids.
 *
 * Each `value_of_` gives the id of a value in `values`. While `skips` is set, values are checked
 * but not interned, and the id is 0. On an error the functions set it, and return -1 or false.
 */
#ifndef DISSEVER_VALUES_H
#define DISSEVER_VALUES_H

#include "reading.h"

/* White space of ASCII. */
static inline bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const uint8_t *skip_blank(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of the well-formed character that begins here, of at most `left` (at least 1); or 0. */
size_t utf8_length(const uint8_t *at, size_t left);

/* Where UTF-8 ends: the first byte that is none, or the end. */
const uint8_t *utf8_end(const uint8_t *at, const uint8_t *end);

/* Write a character that UTF-8 has into at most 4 bytes; returns how many. */
size_t utf8_write(uint8_t *to, uint32_t code);

/* Four hexadecimal digits, or -1. */
int32_t utf8_hex4(const uint8_t *at, const uint8_t *end);

/* A value that its tag and a word make up: nil, a boolean or an integer. */
int32_t value_of_word(struct load *l, uint8_t tag, int64_t word);

/* A text of at most LOAD_TEXT_BYTES_MAX bytes, its escapes resolved. */
int32_t value_of_text(struct load *l, struct span text);

/* JSON as it is written, of at most LOAD_TEXT_BYTES_MAX bytes; it must be well-formed. */
int32_t value_of_json(struct load *l, struct span text);

/* A float; -0.0 is 0.0. */
int32_t value_of_double(struct load *l, double number);

/* A decimal integer of any size: an optional sign, then at most LOAD_DIGITS_MAX digits. */
int32_t value_of_integer(struct load *l, struct span text);

/*
 * A decimal number with a point or an exponent or neither, at most LOAD_DIGITS_MAX bytes long,
 * correctly rounded in any locale; infinite when it is out of range.
 */
double value_decimal(struct span text);

/* Whether a number keeps LOAD_DIGITS_MAX. */
bool value_is_short_number(struct load *l, struct span text);

/* Whether a level of lists and maps keeps LOAD_DEPTH_MAX. */
static inline bool value_is_shallow(struct load *l, int depth)
{
    return depth <= LOAD_DEPTH_MAX ||
           load_fail(l, LOAD_SYNTAX, l->at, "expected at most %d levels", LOAD_DEPTH_MAX);
}

/* Put an item, or a key or a value of a map, on the stack. */
bool value_push(struct load *l, int32_t id);

/* The list of all that was pushed since the stack held `from`; takes it away. */
int32_t value_pop_list(struct load *l, size_t from);

/* As value_pop_list, of a map whose keys and values were pushed by turns; of one key the last
 * pair counts. */
int32_t value_pop_map(struct load *l, size_t from);

/*
 * Resolve the escapes of a text between its quotes, into memory that the next call reuses. Returns
 * false, with the error set, for an escape that is unknown.
 */
bool value_unescaped(struct load *l, struct span raw, struct span *text);

/*
 * Read a text from its opening quote to its closing quote, with its escapes resolved; valid until
 * the next text is read. Control characters are refused if `is_strict`.
 */
static inline bool value_string(struct load *l, bool is_strict, struct span *text)
{
    const uint8_t *start = l->at++;
    bool has_escapes = false;
    for (; l->at < l->end && *l->at != '"'; l->at++) {
        if (*l->at == '\\') {
            has_escapes = true;
            l->at++;
        } else if (is_strict && *l->at < 0x20) {
            return load_fail(l, LOAD_SYNTAX, l->at, "a string has a control character");
        }
    }
    if (l->at >= l->end) {
        l->at = l->end;
        return load_fail(l, LOAD_SYNTAX, start, "a string is never closed");
    }
    *text = (struct span){start + 1, (size_t)(l->at - start - 1)};
    l->at++;
    return !has_escapes || value_unescaped(l, *text, text);
}

#endif
