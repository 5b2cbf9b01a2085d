#include "pack_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <unistd.h>

static mm_status failed(const mm_pack_spool *spool, const char *what, mm_error *error) {
    char room[MM_ERRNO_TEXT];
    return mm_trouble(error,
                      "%s: cannot %s the temporary copy of the input: %s; TMPDIR names another folder, "
                      "and input files (not a pipe) need no copy",
                      spool->folder, what, mm_errno_text(errno, room));
}

mm_status mm_pack_spool_open(mm_pack_spool *spool, mm_error *error) {
    const char *folder = getenv("TMPDIR");
    *spool = (mm_pack_spool){.folder = folder && *folder ? folder : "/tmp"};
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, spool->folder, "mm-pack-XXXXXX", error);
    if (status) return status;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return failed(spool, "make", error);
    unlink(path);
    spool->file = fdopen(fd, "w+");
    if (!spool->file) {
        close(fd);
        return failed(spool, "open", error);
    }
    return MM_OK;
}

mm_status mm_pack_spool_add(mm_pack_spool *spool, const char *text, size_t size, bool ends, mm_error *error) {
    if (fwrite(&size, sizeof size, 1, spool->file) != 1 || fputc(ends, spool->file) == EOF ||
        (size && fwrite(text, size, 1, spool->file) != 1))
        return failed(spool, "write", error);
    return MM_OK;
}

mm_status mm_pack_spool_rewind(mm_pack_spool *spool, mm_error *error) {
    if (fflush(spool->file) || fseeko(spool->file, 0, SEEK_SET)) return failed(spool, "write", error);
    return MM_OK;
}

mm_status mm_pack_spool_next(mm_pack_spool *spool, const char **text, size_t *size, bool *ends, bool *more,
                             mm_error *error) {
    *more = false;
    if (fread(size, sizeof *size, 1, spool->file) != 1)
        return ferror(spool->file) ? failed(spool, "read", error) : MM_OK;
    int ending = fgetc(spool->file);
    if (ending == EOF) return failed(spool, "read", error);
    *ends = ending != 0;
    if (*size >= spool->room) {
        char *grown = realloc(spool->text, *size + 1);
        if (!grown) return mm_trouble(error, "a document of %zu bytes: out of memory", *size);
        spool->text = grown;
        spool->room = *size + 1;
    }
    if (*size && fread(spool->text, *size, 1, spool->file) != 1) return failed(spool, "read", error);
    *text = spool->text;
    *more = true;
    return MM_OK;
}

void mm_pack_spool_close(mm_pack_spool *spool) {
    if (spool->file) fclose(spool->file);
    free(spool->text);
    *spool = (mm_pack_spool){0};
}
