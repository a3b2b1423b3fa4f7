/*
 * utf8.c: characters and escapes.
 */
#include "utf8.h"

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

bool utf8_unescaped(struct load *l, struct span raw, struct span *text)
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
