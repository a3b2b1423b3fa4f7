/*
 * What SQLite and dqlite take from the process around them: memory, randomness, the time of day.
 *
 * SQLite is one in this process, and serves the connections of all servers. Its memory belongs to
 * the server that runs, so that a crash leaves nothing of it.
 */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "../memory.h"
#include "../simulation.h"
#include "vfs.h" /* of dqlite */

enum { START_OF_TIME_S = 1700000000 }; /* what a node's wall clock says when a run begins */

/* SQLite's own, which no server's process owns: a block with its size before it. */
struct own {
    size_t size;
    size_t padding;
};

static struct server *owner_of(const void *block)
{
    for (unsigned i = 0; i < simulation.count; i++) {
        if (arena_has(&simulation.servers[i].arena, block)) {
            return &simulation.servers[i];
        }
    }
    return NULL;
}

static void *take(int size)
{
    if (simulation.running != NULL) {
        return server_allocate(simulation.running, (size_t)size);
    }
    struct own *own = host_allocate(sizeof *own + (size_t)size);
    own->size = (size_t)size;
    return own + 1;
}

static int size_of(void *block)
{
    size_t size = owner_of(block) != NULL ? arena_size(block) : ((struct own *)block - 1)->size;
    return (int)size;
}

static void give_back(void *block)
{
    struct server *owner = owner_of(block);
    if (owner != NULL) {
        server_free(owner, block);
    } else {
        free((struct own *)block - 1);
    }
}

static void *resize(void *block, int size)
{
    struct server *owner = owner_of(block);
    if (owner != NULL) {
        return server_resize(owner, block, (size_t)size);
    }
    struct own *own = host_resize((struct own *)block - 1, sizeof *own + (size_t)size);
    own->size = (size_t)size;
    return own + 1;
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int begin(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void end(void *context)
{
    (void)context;
}

/* A VFS makes dqlite add to SQLite's list of extensions, once. The list must outlive each server. */
static void register_extensions(void)
{
    static const struct vfsConfig config = { .name = "dissever" };
    struct sqlite3_vfs vfs;
    if (VfsInit(&vfs, &config) == SQLITE_OK) {
        VfsClose(&vfs);
    }
}

void sqlite_begin(void)
{
    static const sqlite3_mem_methods memory = {
        .xMalloc = take,
        .xFree = give_back,
        .xRealloc = resize,
        .xSize = size_of,
        .xRoundup = round_up,
        .xInit = begin,
        .xShutdown = end,
    };
    int seed = (int)(digest_bytes(DIGEST_START, &simulation.seed, sizeof simulation.seed) >> 33);
    struct server *running = simulation.running;
    simulation.running = NULL;
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    sqlite3_initialize();
    register_extensions();
    /* A seed of 0 would mean the system's randomness. */
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed | 1, NULL);
    simulation.running = running;
}

/* Interposed: dqlite's crash trace asks for the thread at each step of its state machines, and system
 * calls would be a part of what a run costs. The other callers in the library are never reached. */
long syscall(long number, ...)
{
    if (number == SYS_gettid) {
        return 1;
    }
    errno = ENOSYS;
    return -1;
}

/* Interposed: each of its state machines asks for it. */
pid_t getpid(void)
{
    return 1;
}

/* Interposed: dqlite's VFS asks for CURRENT_TIMESTAMP and the like. */
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    double ahead_s = simulation.running ? server_clock_offset_s(simulation.running) : 0;
    int64_t us = (int64_t)(simulation.now_ns / NS_PER_US) + (int64_t)(ahead_s * 1e6);
    now->tv_sec = START_OF_TIME_S + us / 1000000;
    now->tv_usec = us % 1000000;
    return 0;
}
