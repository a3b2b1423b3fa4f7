/*
 * A simulator of servers that run a real consensus library, in virtual time.
 *
 * It reads frames from stdin and answers on stdout (frames.h); see simulation.h for what it is. Exit
 * status: 0 when the harness ended it or went away, or after a server's crash that was said; 2 for
 * input that is no frame; 3 when the simulator itself fails.
 */
#include "addresses.h"
#include "commands.h"
#include "crash.h"
#include "simulation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Memory that the library asks for: of the server whose code runs --- */

static struct server *owner(void)
{
    if (!simulation.running) {
        fputs("the library asked for memory outside of any server\n", stderr);
        abort();
    }
    return simulation.running;
}

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return server_allocate(owner(), size);
}

static void heap_free(void *data, void *block)
{
    (void)data;
    server_free(owner(), block);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    void *block = size && count > SIZE_MAX / size ? NULL : heap_malloc(data, count * size);
    return block ? memset(block, 0, count * size) : NULL;
}

static void *heap_realloc(void *data, void *block, size_t size)
{
    (void)data;
    return server_resize(owner(), block, size);
}

/* Only the libraries' own I/O, which does not run here, asks for more than blocks have. */
static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    return alignment <= 16 ? heap_malloc(data, size) : NULL;
}

static void heap_aligned_free(void *data, size_t alignment, void *block)
{
    (void)alignment;
    heap_free(data, block);
}

static struct raft_heap heap = {
    .malloc = heap_malloc,
    .free = heap_free,
    .calloc = heap_calloc,
    .realloc = heap_realloc,
    .aligned_alloc = heap_aligned_alloc,
    .aligned_free = heap_aligned_free,
};

/* --- Frames --- */

enum { INPUT_BYTES_MIN = 1 << 16, HEADER_BYTES = 4 };

/* What has been read of stdin: from `at`, `size` bytes are not yet answered. */
struct reader {
    uint8_t *bytes;
    size_t at, size, capacity;
};

/* The size of the next frame; 0: its header has not come. */
static size_t next_size(const struct reader *reader)
{
    const uint8_t *at = reader->bytes + reader->at;
    if (reader->size < HEADER_BYTES)
        return 0;
    return ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24) +
           (size_t)HEADER_BYTES;
}

static bool has_frame(const struct reader *reader)
{
    size_t size = next_size(reader);
    return size && reader->size >= size;
}

/* False: stdin ended. */
static bool read_more(struct reader *reader)
{
    size_t wanted = next_size(reader) > INPUT_BYTES_MIN ? next_size(reader) : INPUT_BYTES_MIN;
    if (reader->size)
        memmove(reader->bytes, reader->bytes + reader->at, reader->size);
    reader->at = 0;
    if (wanted > reader->capacity)
        reader->bytes = host_resize(reader->bytes, reader->capacity = wanted);
    ssize_t count = read(STDIN_FILENO, reader->bytes + reader->size, reader->capacity - reader->size);
    if (count > 0)
        reader->size += (size_t)count;
    return count > 0 || (count < 0 && errno == EINTR);
}

/* The harness may write several frames before it reads: answers go out when none is left. */
static int answer_frames(void)
{
    struct reader reader = {0};
    struct output answers = {0};
    int status = 0;
    for (bool goes_on = true; goes_on;) {
        size_t size = next_size(&reader);
        if (size == HEADER_BYTES || size > (size_t)FRAME_SIZE_MAX + HEADER_BYTES) {
            fprintf(stderr, "a frame of %zu bytes came: 1 to %d can be\n", size - HEADER_BYTES,
                    FRAME_SIZE_MAX);
            status = 2;
            break;
        }
        if (!has_frame(&reader)) {
            goes_on = output_flush(&answers) && read_more(&reader);
            continue;
        }
        const uint8_t *frame = reader.bytes + reader.at + HEADER_BYTES;
        struct input input = {.at = frame + 1, .end = frame - HEADER_BYTES + size};
        reader.at += size;
        reader.size -= size;
        goes_on = command(&simulation, frame[0], &input, &answers);
    }
    output_flush(&answers);
    free(reader.bytes);
    free(answers.bytes);
    return status;
}

int main(void)
{
    addresses_fix();
    crash_catch();
    raft_heap_set(&heap);
    return addresses_run(answer_frames);
}
