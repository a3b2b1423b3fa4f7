/* libraft 0.15.0 (Debian 12). */
#ifndef DISSEVER_SIMULATION_VARIANT_H
#define DISSEVER_SIMULATION_VARIANT_H

#include <raft.h>

#include <stdint.h>
#include <stdio.h>

#define LIBRARY_NAME "libraft 0.15.0"

enum {
    IO_VERSION = 2,
    RETRIES_FAILED_WRITES = 0, /* raft_uv tells the library, instead of trying again */
};

#define IO_MORE
#define HAS_ASYNC_WORK 1
#define HAS_TIMERS 0

/* How functions of this version differ. */
#define FSM_APPLY_RESULT , void **result
#define FSM_PASS_RESULT , result
#define FSM_NO_RESULT (*result = NULL)
#define FSM_FINALIZE_ARGUMENTS struct raft_buffer *buffers[], unsigned *count
#define FSM_FINALIZE_PASS buffers, count
#define FSM_FINALIZE_BUFFERS (*buffers)
#define FSM_FINALIZE_COUNT (*count)
#define APPLY_CB_RESULT , void *result
#define APPLY_CB_IGNORE (void)result
#define TRUNCATE_REQUEST
#define TRUNCATE_BEGIN (void)0
#define TRUNCATE_OWNED NULL

/* Of its own I/O, which real nodes have (real/node.c). */
#define UV_HEADER <raft/uv.h>
#define TRANSPORT_BEGIN(transport) (void)0

/* After each event of a server: nothing is to be done. */
static inline void library_event_ends(struct raft *raft)
{
    (void)raft;
}

static inline void library_append_begin(struct raft_io_append *request)
{
    (void)request;
}

static inline void library_emit(struct raft_tracer *tracer, const char *file, int line,
                                const char *message)
{
    fprintf(stderr, "%s %s:%d: %s\n", (const char *)tracer->impl, file, line, message);
}

static inline void library_trace(struct raft *raft, struct raft_tracer *tracer, unsigned number,
                                 bool is_on)
{
    static const char names[][3] = {"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"};
    tracer->impl = (void *)(uintptr_t)names[number];
    tracer->enabled = is_on;
    tracer->emit = library_emit;
    raft->tracer = tracer;
}

#endif
