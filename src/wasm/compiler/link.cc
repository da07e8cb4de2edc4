#include "wasm/compiler/link.h"

#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Object/ELF.h>

#include <cstring>

#include "wasm/object.h"

namespace cordon::wasm {
namespace {

using ElfFile = llvm::object::ELFFile<llvm::object::ELF64LE>;
using llvm::object::ELF64LE;
namespace elf = llvm::ELF;

constexpr uint64_t kNowhere = UINT64_MAX;

// An error of LLVM's ELF reader. The files come from LLVM itself, so it is a defect.
std::unexpected<Error> ElfError(llvm::Error error) {
  return Fail(ErrorCode::kInternal, "link: " + llvm::toString(std::move(error)));
}

struct Input {
  ElfFile file;
  ElfFile::Elf_Shdr_Range sections;
  ElfFile::Elf_Sym_Range symbols;
  llvm::StringRef names;
  std::vector<uint64_t> places;  // in the image, of each section
};

class Linker {
 public:
  Result<LinkedImage> Run(const std::vector<std::vector<char>>& objects) {
    for (const std::vector<char>& bytes : objects) CORDON_TRY(Open(bytes));
    for (Input& input : inputs_) CORDON_TRY(Place(&input, /*code=*/false));
    AlignTo(kImageAlignment, std::byte{0});
    image_.code_offset = image_.bytes.size();
    for (Input& input : inputs_) CORDON_TRY(Place(&input, /*code=*/true));
    if (image_.bytes.empty()) image_.bytes.push_back(kFill);  // a mapping cannot be empty
    AlignTo(kImageAlignment, kFill);
    for (const Input& input : inputs_) CORDON_TRY(Define(input));
    for (const Input& input : inputs_) CORDON_TRY(Relocate(input));
    return std::move(image_);
  }

 private:
  static constexpr std::byte kFill{0xcc};

  void AlignTo(uint64_t alignment, std::byte fill) {
    const uint64_t mask = std::max<uint64_t>(alignment, 1) - 1;
    image_.bytes.resize((image_.bytes.size() + mask) & ~mask, fill);
  }

  Status Open(const std::vector<char>& bytes) {
    auto file = ElfFile::create(llvm::StringRef(bytes.data(), bytes.size()));
    if (!file) return ElfError(file.takeError());
    auto sections = file->sections();
    if (!sections) return ElfError(sections.takeError());
    Input input = {*file, *sections, {}, {}, {}};
    input.places.assign(sections->size(), kNowhere);
    for (const auto& section : *sections) {
      if (section.sh_type != elf::SHT_SYMTAB) continue;
      auto symbols = file->symbols(&section);
      if (!symbols) return ElfError(symbols.takeError());
      auto names = file->getStringTableForSymtab(section);
      if (!names) return ElfError(names.takeError());
      input.symbols = *symbols;
      input.names = *names;
    }
    inputs_.push_back(std::move(input));
    return {};
  }

  Status Place(Input* input, bool code) {
    for (size_t i = 0; i < input->sections.size(); ++i) {
      const auto& section = input->sections[i];
      if ((section.sh_flags & elf::SHF_ALLOC) == 0 || section.sh_size == 0) continue;
      if ((section.sh_flags & elf::SHF_WRITE) != 0 || section.sh_type != elf::SHT_PROGBITS) {
        return Fail(ErrorCode::kInternal, "link: a section that is neither code nor constants");
      }
      if (((section.sh_flags & elf::SHF_EXECINSTR) != 0) != code) continue;
      auto contents = input->file.getSectionContents(section);
      if (!contents) return ElfError(contents.takeError());
      AlignTo(section.sh_addralign, code ? kFill : std::byte{0});
      input->places[i] = image_.bytes.size();
      const auto* begin = reinterpret_cast<const std::byte*>(contents->data());
      image_.bytes.insert(image_.bytes.end(), begin, begin + contents->size());
    }
    return {};
  }

  // Where a symbol of this object lies in the image, or kNowhere.
  static uint64_t LocalPlace(const Input& input, const ElfFile::Elf_Sym& symbol) {
    if (symbol.st_shndx == elf::SHN_UNDEF || symbol.st_shndx >= input.places.size()) {
      return kNowhere;
    }
    const uint64_t place = input.places[symbol.st_shndx];
    return place == kNowhere ? kNowhere : place + symbol.st_value;
  }

  Status Define(const Input& input) {
    for (const auto& symbol : input.symbols) {
      if (symbol.getType() != elf::STT_FUNC) continue;
      auto name = symbol.getName(input.names);
      if (!name) return ElfError(name.takeError());
      const uint64_t place = LocalPlace(input, symbol);
      if (place == kNowhere) return Fail(ErrorCode::kInternal, "link: function without code");
      image_.symbols[name->str()] = static_cast<uint32_t>(place - image_.code_offset);
    }
    return {};
  }

  Result<uint64_t> Resolve(const Input& input, const ElfFile::Elf_Sym& symbol) {
    const uint64_t local = LocalPlace(input, symbol);
    if (local != kNowhere) return local;
    auto name = symbol.getName(input.names);
    if (!name) return ElfError(name.takeError());
    const auto at = image_.symbols.find(name->str());
    if (at == image_.symbols.end()) {
      return Fail(ErrorCode::kInternal, "link: undefined symbol " + name->str());
    }
    return image_.code_offset + at->second;
  }

  Status Relocate(const Input& input) {
    for (const auto& section : input.sections) {
      if (section.sh_type != elf::SHT_RELA || section.sh_info >= input.places.size()) continue;
      const uint64_t place = input.places[section.sh_info];
      if (place == kNowhere) continue;
      auto relocations = input.file.relas(section);
      if (!relocations) return ElfError(relocations.takeError());
      for (const auto& relocation : *relocations) CORDON_TRY(Apply(input, relocation, place));
    }
    return {};
  }

  Status Apply(const Input& input, const ElfFile::Elf_Rela& relocation, uint64_t section_place) {
    const uint32_t type = relocation.getType(false);
    const uint32_t index = relocation.getSymbol(false);
    if ((type != elf::R_X86_64_PC32 && type != elf::R_X86_64_PLT32) ||
        index >= input.symbols.size()) {
      return Fail(ErrorCode::kInternal, "link: relocation of type " + std::to_string(type));
    }
    const Result<uint64_t> target = Resolve(input, input.symbols[index]);
    if (!target) return std::unexpected(target.error());
    const uint64_t at = section_place + relocation.r_offset;
    const int64_t distance =
        static_cast<int64_t>(*target) + relocation.r_addend - static_cast<int64_t>(at);
    const auto value = static_cast<int32_t>(distance);
    if (distance != value || at + sizeof value > image_.bytes.size()) {
      return Fail(ErrorCode::kLimit, "limit: more than 2 GiB of machine code");
    }
    std::memcpy(image_.bytes.data() + at, &value, sizeof value);
    return {};
  }

  std::vector<Input> inputs_;
  LinkedImage image_;
};

}  // namespace

Result<LinkedImage> Link(const std::vector<std::vector<char>>& objects) {
  return Linker().Run(objects);
}

}  // namespace cordon::wasm
