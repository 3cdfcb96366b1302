#include "launch/cli/build_info.h"

#include <dnnl.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/common.h>
#define OMPI_SKIP_MPICXX 1  // the C interface alone
#include <mpi.h>
#include <openssl/crypto.h>
#include <spdlog/version.h>
#include <zlib.h>

#include <boost/version.hpp>

#include "core/base/parallel.h"
#include TRIBUTARY_COMMIT_FILE

namespace tributary {

Facts BuildFacts() {
  std::string build = TRIBUTARY_BUILD;
#ifdef TRIBUTARY_SANITIZER
  build += " with the " TRIBUTARY_SANITIZER " sanitizer";
#endif
  Facts facts = {{"tributary", TRIBUTARY_VERSION}};
  if (*kCommit) facts.push_back({"commit", kCommit});
#ifdef __clang__
  facts.push_back({"compiler", __VERSION__});
#else
  facts.push_back({"compiler", "GCC " __VERSION__});
#endif
  facts.push_back({"build", build});
  facts.push_back({"threads", fmt::format("{}", NumThreads())});
  return facts;
}

std::string OneDnnVersion() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string MpiVersion() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, length);
  return version.substr(0, version.find_first_of("\n,"));
}

Facts LibraryFacts() {
  constexpr int kFmt = FMT_VERSION;
  return {
      {"oneDNN", OneDnnVersion()},
      {"MPI", MpiVersion()},
      {"Highway", TRIBUTARY_HIGHWAY},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING)},
      {"Boost", fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                            BOOST_VERSION % 100)},
      {"zlib", zlibVersion()},
      {"fmt", fmt::format("{}.{}.{}", kFmt / 10000, kFmt / 100 % 100, kFmt % 100)},
      {"spdlog", fmt::format("{}.{}.{}", SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)},
  };
}

}  // namespace tributary
