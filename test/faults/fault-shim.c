/*
 * Faults below the store: loaded by LD_PRELOAD between Node (libuv and LMDB alike) and the C library.
 *
 * Looks only at files below FAULT_DIRECTORY. Two things, alone or together:
 *
 *   1. FAULT_OPERATION (write, sync) and FAULT_AT = n: the n-th such call on a file whose path contains FAULT_FILES fails with
 *      FAULT_ERROR (an errno). A failing write first writes half of its bytes if FAULT_HALF is set. A line "fault OFFSET PATH"
 *      goes to standard output at that moment (offset 0 for a sync). A write to a file opened with O_DSYNC counts as both.
 *   2. FAULT_LOG: a file that receives what a power failure could undo: before each write the bytes that it replaces, in whole
 *      pages, and after each sync a note that what came before is durable. test/faults/power-loss.ts reads it.
 *
 *      FAULT_SYNC_MICROS makes every sync take so long, as on a slow device, so that a kill meets more that is not durable.
 *
 *   log record:  u32 kind (1 write, 2 write is durable, 3 file is durable) | u32 bytes | u64 number | u64 device | u64 inode |
 *                u64 offset | the bytes replaced (kind 1)
 *
 * One lock orders calls and log, so a sync covers exactly the writes noted before it. What is left out: sizes of files and
 * names of directories, which stay as they are; memory that is written through a map (LMDB is opened without).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define PATH_BYTES 4096

enum { NOTE_WRITE = 1, NOTE_WRITE_DURABLE = 2, NOTE_FILE_DURABLE = 3 };

struct note {
  uint32_t kind;
  uint32_t bytes;
  uint64_t number;
  uint64_t device;
  uint64_t inode;
  uint64_t offset;
};

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_msync)(void *, size_t, int);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static const char *files;
static int fails_writes, fails_syncs, writes_half, fault_errno;
static long fault_at, calls, sync_micros;
static int log_fd = -1;
static uint64_t numbers;

__attribute__((constructor)) static void prepare(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_pwritev = dlsym(RTLD_NEXT, "pwritev64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_msync = dlsym(RTLD_NEXT, "msync");
  directory = getenv("FAULT_DIRECTORY");
  files = getenv("FAULT_FILES");
  const char *operation = getenv("FAULT_OPERATION");
  fails_writes = operation && strcmp(operation, "write") == 0;
  fails_syncs = operation && strcmp(operation, "sync") == 0;
  writes_half = getenv("FAULT_HALF") != NULL;
  fault_at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  fault_errno = getenv("FAULT_ERROR") ? atoi(getenv("FAULT_ERROR")) : EIO;
  sync_micros = getenv("FAULT_SYNC_MICROS") ? atol(getenv("FAULT_SYNC_MICROS")) : 0;
  const char *log_path = getenv("FAULT_LOG");
  if (log_path) log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

/* Whether the file is one of ours; its path is left in `path`. */
static int is_ours(int fd, char *path) {
  if (directory == NULL || fd == log_fd || fd < 3) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_BYTES - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strncmp(path, directory, strlen(directory)) == 0;
}

static int is_synchronous(int fd) { return (fcntl(fd, F_GETFL) & O_DSYNC) != 0; }

/* Counts a call that may fail; true when it is the one. */
static int strikes(const char *path, off_t offset) {
  if (fault_at == 0 || (files && strstr(path, files) == NULL)) return 0;
  if (++calls != fault_at) return 0;
  char line[PATH_BYTES + 64];
  int length = snprintf(line, sizeof line, "fault %lld %s\n", (long long)offset, path);
  real_write(1, line, length);
  return 1;
}

static void note(int kind, int fd, uint64_t number, off_t offset, const void *bytes, size_t count) {
  struct stat status;
  if (log_fd < 0 || fstat(fd, &status) != 0) return;
  struct note head = {kind, count, number, status.st_dev, status.st_ino, offset};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)bytes, count}};
  if (real_writev(log_fd, parts, 2) != (ssize_t)(sizeof head + count)) abort();
}

/* Notes the pages that a write will replace. */
static uint64_t note_pages(int fd, off_t offset, size_t count) {
  if (log_fd < 0) return 0;
  off_t from = offset / PAGE * PAGE;
  size_t bytes = (offset + count + PAGE - 1) / PAGE * PAGE - from;
  char *before = calloc(1, bytes);
  if (before == NULL) abort();
  int reader = fd;
  char link[64];
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    reader = open(link, O_RDONLY);
  }
  if (reader < 0 || pread(reader, before, bytes, from) < 0) abort();
  if (reader != fd) close(reader);
  note(NOTE_WRITE, fd, ++numbers, from, before, bytes);
  free(before);
  return numbers;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset) {
  char path[PATH_BYTES];
  if (!is_ours(fd, path)) return offset < 0 ? real_writev(fd, parts, count) : real_pwritev(fd, parts, count, offset);
  pthread_mutex_lock(&lock);
  int is_sync = is_synchronous(fd);
  off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
  size_t bytes = 0;
  for (int part = 0; part < count; part++) bytes += parts[part].iov_len;
  int fails = (fails_writes || (fails_syncs && is_sync)) && strikes(path, at);
  uint64_t number = at < 0 ? 0 : note_pages(fd, at, bytes);
  ssize_t written;
  if (!fails) {
    written = offset < 0 ? real_writev(fd, parts, count) : real_pwritev(fd, parts, count, offset);
  } else {
    if (writes_half && at >= 0) real_pwrite(fd, parts[0].iov_base, parts[0].iov_len / 2, at);
    errno = fault_errno;
    written = -1;
  }
  int saved = errno;
  if (written > 0 && is_sync && sync_micros > 0) usleep(sync_micros);
  if (written > 0 && is_sync) note(NOTE_WRITE_DURABLE, fd, number, at, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = saved;
  return written;
}

static int sync_file(int fd, int (*real)(int)) {
  char path[PATH_BYTES];
  if (!is_ours(fd, path)) return real(fd);
  pthread_mutex_lock(&lock);
  int result = -1;
  if (fails_syncs && strikes(path, 0)) {
    errno = fault_errno;
  } else {
    if (sync_micros > 0) usleep(sync_micros);
    result = real(fd);
    if (result == 0) note(NOTE_FILE_DURABLE, fd, numbers, 0, NULL, 0);
  }
  int saved = errno;
  pthread_mutex_unlock(&lock);
  errno = saved;
  return result;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  if (fd < 3 || directory == NULL) return real_write(fd, bytes, count);
  struct iovec part = {(void *)bytes, count};
  return write_parts(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (fd < 3 || directory == NULL) return real_writev(fd, parts, count);
  return write_parts(fd, parts, count, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) {
  struct iovec part = {(void *)bytes, count};
  return write_parts(fd, &part, 1, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return pwrite64(fd, bytes, count, offset); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
  return write_parts(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return write_parts(fd, parts, count, offset);
}

int fsync(int fd) { return sync_file(fd, real_fsync); }

int fdatasync(int fd) { return sync_file(fd, real_fdatasync); }

int msync(void *address, size_t bytes, int flags) {
  /* LMDB without a writable map never needs one; if that changes, the tests should know. */
  if (directory != NULL && getenv("FAULT_LOG")) abort();
  return real_msync(address, bytes, flags);
}
