#ifndef CORDON_ARCHIVE_LIBARCHIVE_LOCALE_H_
#define CORDON_ARCHIVE_LIBARCHIVE_LOCALE_H_

#include <clocale>

namespace cordon::archive {

// libarchive converts names from and to the locale of the thread; in the locale "C" it gives up on
// everything but ASCII.
class Utf8Locale {
 public:
  Utf8Locale()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(locale_ != nullptr ? uselocale(locale_) : nullptr) {}
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t before_;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_LIBARCHIVE_LOCALE_H_
