/* File systems without file locks, or with those of NFS, for tests: a library for LD_PRELOAD that takes the place of
   flock(). FLOCK_MODE=enolck: no lock is granted, as on NFS without a lock server. FLOCK_MODE=nfs4: an exclusive lock
   needs a descriptor that is open for writing, and folders are locked on this host alone, which other hosts do not see:
   here nobody sees it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

int flock(int descriptor, int operation) {
  int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
  const char *mode = getenv("FLOCK_MODE");
  struct stat status;
  if (mode && !strcmp(mode, "enolck")) {
    errno = ENOLCK;
    return -1;
  }
  if (mode && !strcmp(mode, "nfs4") && !fstat(descriptor, &status)) {
    if (S_ISDIR(status.st_mode)) return 0;
    if (operation & LOCK_EX && (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY) {
      errno = EBADF;
      return -1;
    }
  }
  return real(descriptor, operation);
}
