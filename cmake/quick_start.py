#!/usr/bin/env python3
"""The C library's start-up without its questions about caches: quick_start.py LIBC_A OUTPUT

Each CPUID instruction leaves a virtual machine: about 6 microseconds here. glibc's start-up of a static program has 68 of them on a processor of
Intel's, and about as many on one of AMD's. Most ask for the sizes of caches, over and over, to choose from how many bytes on a copy goes past them:
0.3 ms of every start, twice of `cordon run`. Writes libc-start.o, as the library has it, with these functions answering at once. It is linked in
front of the library, which then does not bring its own.

A library that has no such functions, or calls them otherwise, is left as it is, and the programs start as slowly as others.
"""
import struct
import subprocess
import sys

MEMBER = "libc-start.o"
# 32 MiB, whatever cache is asked about: a copy of 24 MiB goes past them. What is asked for besides, ways and lines, is only told by sysconf.
SIZE = 32 << 20
# Of sysdeps/x86/dl-cacheinfo.h; the compiler's name of a copy of its own may follow.
ANSWERS = {
    "handle_intel": b"\xb8" + struct.pack("<I", SIZE) + b"\xc3",  # mov eax, SIZE; ret
    "handle_amd": b"\xb8" + struct.pack("<I", SIZE) + b"\xc3",
    "get_common_cache_info": b"\xc3",  # ret: what was found is not divided among threads
    # Of sysdeps/x86/cpu-features.c: what is asked from 0x80000000 on, none of which a static program's functions are chosen by.
    "get_extended_indices": b"\xc3",
}
# elf(5)
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")
SHT_SYMTAB, SHT_RELA, STT_FUNC = 2, 4, 2


class Object:
    """An ELF object of x86-64, of which `bytes` may be changed in place."""

    def __init__(self, content):
        self.bytes = bytearray(content)
        start, = struct.unpack_from("<Q", content, 40)
        count, = struct.unpack_from("<H", content, 60)
        self.sections = [SECTION_HEADER.unpack_from(content, start + i * SECTION_HEADER.size) for i in range(count)]

    def functions(self):
        """(name, section, offset in it, size) of each."""
        for _, kind, _, _, offset, size, link, *_ in self.sections:
            if kind != SHT_SYMTAB:
                continue
            names = self.sections[link][4]
            for name, info, _, section, value, length in SYMBOL.iter_unpack(self.bytes[offset:offset + size]):
                if info & 15 == STT_FUNC:
                    end = self.bytes.index(0, names + name)
                    yield self.bytes[names + name:end].decode(), section, value, length

    def replace(self, section, value, code):
        """Puts `code` at a place of a section, and takes out what the linker would write there."""
        at = self.sections[section][4] + value
        self.bytes[at:at + len(code)] = code
        for _, kind, _, _, offset, size, _, of, *_ in self.sections:
            if kind != SHT_RELA or of != section:
                continue
            for place in range(offset, offset + size, RELOCATION.size):
                where, _, addend = RELOCATION.unpack_from(self.bytes, place)
                if value - 8 < where < value + len(code):
                    RELOCATION.pack_into(self.bytes, place, where, 0, addend)  # R_X86_64_NONE


def main(library, output):
    found = Object(subprocess.run(["ar", "p", library, MEMBER], check=True, stdout=subprocess.PIPE).stdout)
    places = {name: [(section, value) for function, section, value, size in found.functions()
                     if function.split(".")[0] == name and size >= len(code)] for name, code in ANSWERS.items()}
    if all(len(of_name) == 1 for of_name in places.values()):
        for name, [place] in places.items():
            found.replace(*place, ANSWERS[name])
    else:
        print(f"{library} starts in another way: programs start as it has them")
    with open(output, "wb") as file:
        file.write(found.bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
