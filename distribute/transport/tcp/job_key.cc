#include "distribute/transport/tcp/job_key.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "core/base/errors.h"
#include "distribute/transport/tcp/byte_stream.h"

namespace tributary {
namespace {

constexpr size_t kDigits = 64;

// Bytes that are wiped at the end.
struct Secret {
  ~Secret() { OPENSSL_cleanse(bytes, sizeof(bytes)); }
  char bytes[kDigits + 2] = {};
  size_t size = 0;
};

UniqueFd OpenKeyFile(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) {
    throw NotFoundError("[transport] can't read the job's key file '{}': {}; {}", path,
                        std::strerror(errno), HowToMakeAKey());
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw InvalidArgumentError("[transport] the job's key file '{}' is no regular file", path);
  }
  if (status.st_mode & 077) {
    throw PermissionDeniedError("[transport] others may read or write the job's key file '{}'; "
                                "expected mode 0600, got {:04o}; chmod 600 '{}', and make a new "
                                "key if somebody may have seen it",
                                path, status.st_mode & 07777, path);
  }
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    throw PermissionDeniedError("[transport] the job's key file '{}' belongs to user {}; expected "
                                "{} (who runs this) or root",
                                path, status.st_uid, ::geteuid());
  }
  return file;
}

void ReadAll(int fd, Secret* secret) {
  while (secret->size < sizeof(secret->bytes)) {
    const ssize_t got = ::read(fd, secret->bytes + secret->size,
                               sizeof(secret->bytes) - secret->size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw InvalidArgumentError("[transport] can't read the job's key: {}", std::strerror(errno));
    }
    if (got == 0) break;
    secret->size += static_cast<size_t>(got);
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

JobKey ParseHex(const Secret& secret) {
  size_t size = secret.size;
  while (size > 0 && std::strchr("\r\n", secret.bytes[size - 1])) --size;
  JobKey key{};
  bool valid = size == kDigits;
  for (size_t i = 0; valid && i < key.size(); ++i) {
    const int high = HexDigit(secret.bytes[2 * i]), low = HexDigit(secret.bytes[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    key[i] = static_cast<unsigned char>(high << 4 | low);
  }
  if (valid) return key;
  throw InvalidArgumentError("[transport] the job's key is malformed; expected one line of {} hex "
                             "digits; {}",
                             kDigits, HowToMakeAKey());
}

// A pipe can be read only once, and a process may make several servers and channels:
// what was read is remembered, by the file behind the descriptor.
JobKey KeyOfDescriptor(int fd) {
  static std::mutex mutex;
  static std::map<std::tuple<int, dev_t, ino_t>, JobKey> known;
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    throw InvalidArgumentError("[transport] descriptor {} for the job's key is not open: {}; {}",
                               fd, std::strerror(errno), HowToMakeAKey());
  }
  std::lock_guard lock(mutex);
  const auto place = std::make_tuple(fd, status.st_dev, status.st_ino);
  if (const auto it = known.find(place); it != known.end()) return it->second;
  Secret secret;
  ReadAll(fd, &secret);
  return known[place] = ParseHex(secret);
}

JobKey Derive(JobKey secret, const std::string& job_id) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(
      EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(
      EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
  static char digest[] = "SHA256";
  static char salt[] = "tributary transport 1";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof(salt) - 1),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(job_id.data()),
                                        job_id.size()),
      OSSL_PARAM_construct_end()};
  JobKey key{};
  const bool derived = context != nullptr &&
                       EVP_KDF_derive(context.get(), key.data(), key.size(), parameters) == 1;
  OPENSSL_cleanse(secret.data(), secret.size());
  if (!derived) throw InternalError("[transport] OpenSSL can't derive the job's key (HKDF)");
  return key;
}

}  // namespace

std::string HowToMakeAKey() {
  return "make one with: (umask 077; openssl rand -hex 32 > job.key), copy it to every host and "
         "name it as key_file";
}

JobKey ReadJobKey(const SecurityOptions& options) {
  Secret secret;
  if (!options.key_file.empty()) {
    const UniqueFd file = OpenKeyFile(options.key_file);
    ReadAll(file.get(), &secret);
  } else {
    return Derive(KeyOfDescriptor(options.key_fd), options.job_id);
  }
  return Derive(ParseHex(secret), options.job_id);
}

}  // namespace tributary
