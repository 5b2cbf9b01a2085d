// What reading and writing safetensors share. Private to this folder.
#ifndef MM_FILES_SAFETENSORS_FORMAT_H
#define MM_FILES_SAFETENSORS_FORMAT_H

// The header's size stands before it; a header that is larger is refused by the format's own library.
enum { LENGTH_BYTES = 8, HEADER_MAX = 100000000 };

#endif
