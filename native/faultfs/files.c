/* See files.h. */
#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 1024
#define KEPT_BYTES_MAX (INT64_C(512) << 20)

struct file {
    ino_t inode;
    int fd;
    int users; /* under the table's lock */
    pthread_mutex_t lock;
    struct extents extents;
    struct file *next;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *table[BUCKETS];
static int64_t kept_bytes; /* as all below: atomic */
static int64_t forgotten;

static struct file **bucket(ino_t inode)
{
    return &table[inode % BUCKETS];
}

static struct file *find(ino_t inode)
{
    struct file *file = *bucket(inode);

    while (file && file->inode != inode)
        file = file->next;
    return file;
}

static struct file *make(int fd, const struct stat *status)
{
    struct file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (file->fd < 0) {
        free(file);
        return NULL;
    }
    file->inode = status->st_ino;
    pthread_mutex_init(&file->lock, NULL);
    extents_init(&file->extents, status->st_size);
    file->next = *bucket(file->inode);
    *bucket(file->inode) = file;
    return file;
}

static struct file *use(int fd, int may_make)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return NULL;
    pthread_mutex_lock(&table_lock);
    struct file *file = find(status.st_ino);
    if (!file && may_make)
        file = make(fd, &status);
    if (file)
        file->users++;
    pthread_mutex_unlock(&table_lock);
    return file;
}

struct file *file_open(int fd)
{
    return use(fd, 1);
}

struct file *file_find(int fd)
{
    return use(fd, 0);
}

/* Whether the entry is unused, and nothing would be lost with it. */
static int is_settled(const struct file *file)
{
    struct stat status;

    if (fstat(file->fd, &status) < 0 || status.st_nlink == 0)
        return 1;
    return !extents_are_dirty(&file->extents, status.st_size);
}

static void discard(struct file *file)
{
    struct file **link = bucket(file->inode);

    while (*link != file)
        link = &(*link)->next;
    *link = file->next;
    __atomic_sub_fetch(&kept_bytes, file->extents.kept, __ATOMIC_RELAXED);
    extents_free(&file->extents);
    close(file->fd);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

void file_close(struct file *file)
{
    pthread_mutex_lock(&table_lock);
    if (--file->users == 0 && is_settled(file))
        discard(file);
    pthread_mutex_unlock(&table_lock);
}

int file_lock(struct file *file)
{
    pthread_mutex_lock(&file->lock);
    return file->fd;
}

void file_unlock(struct file *file)
{
    pthread_mutex_unlock(&file->lock);
}

/* Take the file for durable: what it would take to know better does not fit into memory. */
static int forget(struct file *file)
{
    __atomic_add_fetch(&forgotten, 1, __ATOMIC_RELAXED);
    return file_settle_all(file);
}

int file_save(struct file *file, off_t start, off_t end)
{
    off_t before = file->extents.kept;
    int failure = extents_save(&file->extents, file->fd, start, end);

    __atomic_add_fetch(&kept_bytes, file->extents.kept - before, __ATOMIC_RELAXED);
    if (!failure && __atomic_load_n(&kept_bytes, __ATOMIC_RELAXED) > KEPT_BYTES_MAX)
        failure = -ENOMEM;
    return failure == -ENOMEM ? forget(file) : failure;
}

int file_settle(struct file *file, off_t start, off_t end)
{
    off_t before = file->extents.kept;
    int failure = extents_settle(&file->extents, start, end);

    __atomic_add_fetch(&kept_bytes, file->extents.kept - before, __ATOMIC_RELAXED);
    return failure == -ENOMEM ? forget(file) : failure;
}

int file_settle_all(struct file *file)
{
    struct stat status;

    if (fstat(file->fd, &status) < 0)
        return -errno;
    __atomic_sub_fetch(&kept_bytes, file->extents.kept, __ATOMIC_RELAXED);
    extents_settle_all(&file->extents, status.st_size);
    return 0;
}

static void count(struct file *file, struct failure *failure)
{
    struct stat status;

    failure->files++;
    if (fstat(file->fd, &status) == 0 && status.st_nlink &&
        extents_are_dirty(&file->extents, status.st_size))
        failure->unsynced_files++;
}

void files_count(struct failure *failure)
{
    pthread_mutex_lock(&table_lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct file *file = table[i]; file; file = file->next) {
            file_lock(file);
            count(file, failure);
            file_unlock(file);
        }
    pthread_mutex_unlock(&table_lock);
    failure->kept_bytes = __atomic_load_n(&kept_bytes, __ATOMIC_RELAXED);
    failure->forgotten = __atomic_load_n(&forgotten, __ATOMIC_RELAXED);
}

static int lose(struct file *file, double keep, uint64_t seed, struct failure *failure)
{
    uint64_t state = seed ^ file->inode;

    __atomic_sub_fetch(&kept_bytes, file->extents.kept, __ATOMIC_RELAXED);
    int result = extents_lose(&file->extents, file->fd, keep, &state, &failure->loss);
    __atomic_add_fetch(&kept_bytes, file->extents.kept, __ATOMIC_RELAXED);
    return result;
}

int files_lose(double keep, uint64_t seed, struct failure *failure)
{
    int first = 0;

    files_count(failure);
    pthread_mutex_lock(&table_lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        struct file *next;
        for (struct file *file = table[i]; file; file = next) {
            next = file->next;
            file_lock(file);
            int result = lose(file, keep, seed, failure);
            file_unlock(file);
            if (!first)
                first = result;
            if (!file->users && is_settled(file))
                discard(file);
        }
    }
    pthread_mutex_unlock(&table_lock);
    return first;
}
