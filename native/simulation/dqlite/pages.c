/* See pages.h. Formats: dqlite's src/command.h, src/fsm.c (little-endian, texts padded to words). */
#include "pages.h"

#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../simulation.h"

enum {
    WORD = 8,
    COMMAND_OF_FRAMES = 2,
    FIXED_OF_FRAMES = 16, /* u64 transaction, u32 truncate, u8 is_commit, padding */
    SIZE_AT = 28,         /* in the first page: u32 pages of the database, big-endian */
    PAGE_MIN = 512,
    PAGES_MAX = 1 << 20,
};

static uint64_t number_at(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = size; i-- > 0;) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* The text that begins at `*at`, which is moved behind it; NULL: it does not end. */
static const char *text_at(const uint8_t *bytes, size_t size, size_t *at)
{
    const uint8_t *end = *at < size ? memchr(bytes + *at, 0, size - *at) : NULL;
    if (end == NULL) {
        return NULL;
    }
    const char *text = (const char *)bytes + *at;
    *at += (strlen(text) / WORD + 1) * WORD;
    return text;
}

bool frames_read(struct frames_read *frames, const uint8_t *bytes, size_t size)
{
    size_t at = WORD;
    if (size < WORD || bytes[1] != COMMAND_OF_FRAMES) {
        return false;
    }
    frames->database = text_at(bytes, size, &at);
    at += FIXED_OF_FRAMES;
    if (frames->database == NULL || at + WORD > size) {
        return false;
    }
    frames->count = number_at(bytes + at, 4);
    frames->page_size = number_at(bytes + at + 4, 2);
    at += WORD;
    if (frames->count > PAGES_MAX || size - at < frames->count * (WORD + frames->page_size)) {
        return false;
    }
    frames->numbers = bytes + at;
    frames->contents = frames->numbers + frames->count * WORD;
    return true;
}

uint64_t frames_page(const struct frames_read *frames, uint64_t i)
{
    return number_at(frames->numbers + i * WORD, WORD);
}

static uint64_t digest_of(const uint8_t *content, size_t size, uint64_t number)
{
    return digest_words(DIGEST_START ^ number, content, size) | 1;
}

static struct database_pages *database(struct pages *pages, const char *name)
{
    for (size_t i = 0; i < pages->count; i++) {
        if (strcmp(pages->databases[i].name, name) == 0) {
            return &pages->databases[i];
        }
    }
    if (pages->count == DATABASES_MAX || strlen(name) >= DATABASE_NAME_MAX) {
        pages->is_unknown = true;
        return NULL;
    }
    struct database_pages *found = &pages->databases[pages->count++];
    memcpy(found->name, name, strlen(name) + 1);
    return found;
}

static void resize(struct database_pages *found, size_t count)
{
    if (count > found->capacity) {
        found->capacity = 2 * count;
        found->digests = host_resize(found->digests, found->capacity * sizeof *found->digests);
    }
    if (count > found->count) {
        memset(found->digests + found->count, 0, (count - found->count) * sizeof *found->digests);
    }
    found->count = count;
}

/* The first page says how many there are: what is behind them is gone. */
static void cut(struct database_pages *found, const uint8_t *first_page)
{
    const uint8_t *at = first_page + SIZE_AT;
    size_t count = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (count > 0 && count < found->count) {
        found->count = count;
    }
}

void pages_apply(struct pages *pages, const uint8_t *bytes, size_t size)
{
    struct frames_read frames;
    if (!frames_read(&frames, bytes, size)) {
        return;
    }
    struct database_pages *found = database(pages, frames.database);
    const uint8_t *first_page = NULL;
    for (uint64_t i = 0; i < frames.count && found != NULL; i++) {
        uint64_t number = frames_page(&frames, i);
        const uint8_t *content = frames.contents + i * frames.page_size;
        if (number == 0 || number > PAGES_MAX || frames.page_size < PAGE_MIN) {
            pages->is_unknown = true;
            return;
        }
        if (number > found->count) {
            resize(found, (size_t)number);
        }
        found->digests[number - 1] = digest_of(content, (size_t)frames.page_size, number);
        if (number == 1) {
            first_page = content;
        }
    }
    if (first_page != NULL) {
        cut(found, first_page);
    }
}

void pages_restore(struct pages *pages, const uint8_t *bytes, size_t size)
{
    enum { PAGE_SIZE = 4096 };
    size_t at = 2 * WORD; /* u64 format, u64 databases */
    uint64_t databases = size < at ? 0 : number_at(bytes + WORD, WORD);
    for (uint64_t i = 0; i < databases; i++) {
        const char *name = text_at(bytes, size, &at);
        if (name == NULL || at + 2 * WORD > size) {
            pages->is_unknown = true;
            return;
        }
        uint64_t main_size = number_at(bytes + at, WORD);
        uint64_t wal_size = number_at(bytes + at + WORD, WORD);
        at += 2 * WORD;
        struct database_pages *found = database(pages, name);
        if (found == NULL || main_size > size - at || wal_size != 0) {
            pages->is_unknown = true;
            return;
        }
        resize(found, 0);
        resize(found, (size_t)(main_size / PAGE_SIZE));
        for (size_t page = 0; page < found->count; page++) {
            found->digests[page] = digest_of(bytes + at + page * PAGE_SIZE, PAGE_SIZE, page + 1);
        }
        at += (size_t)main_size;
    }
}

uint64_t pages_digest(const struct pages *pages)
{
    uint64_t digest = 0;
    if (pages->is_unknown) {
        return 0;
    }
    /* In no order: a snapshot may list databases in another one. */
    for (size_t i = 0; i < pages->count; i++) {
        const struct database_pages *found = &pages->databases[i];
        uint64_t name = digest_bytes(DIGEST_START, found->name, strlen(found->name));
        for (size_t page = 0; page < found->count; page++) {
            digest ^= found->digests[page] * (name | 1);
        }
    }
    return digest | 1;
}

void pages_free(struct pages *pages)
{
    for (size_t i = 0; i < pages->count; i++) {
        free(pages->databases[i].digests);
    }
    *pages = (struct pages){ 0 };
}
