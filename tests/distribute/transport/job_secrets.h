#pragma once
// A job's key and certificates, made anew in a folder that goes with the test program.

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "distribute/transport/transport.h"
#include "tests/temp_dir.h"

namespace tributary {

class JobSecrets {
 public:
  static const JobSecrets& Get() {
    static const JobSecrets secrets;
    return secrets;
  }

  SecurityOptions key() const {
    SecurityOptions options;
    options.key_file = folder_.path() + "/job.key";
    return options;
  }
  SecurityOptions certificates() const {
    SecurityOptions options;
    options.certificate_file = folder_.path() + "/member.pem";
    options.private_key_file = folder_.path() + "/member.key";
    options.authority_file = folder_.path() + "/authority.pem";
    return options;
  }
  // A file of the folder with that text and mode; its path.
  std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const std::string path = folder_.Write(name, text);
    ::chmod(path.c_str(), mode);
    return path;
  }
  // Certificates of another authority, otherwise alike.
  SecurityOptions foreign_certificates() const {
    SecurityOptions options = certificates();
    options.certificate_file = folder_.path() + "/foreign_member.pem";
    options.private_key_file = folder_.path() + "/foreign_member.key";
    return options;
  }

 private:
  JobSecrets() {
    Write("job.key", "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF\n");
    MakeMember("");
    MakeMember("foreign_");
  }

  // An authority and a certificate by it: PREFIXauthority.pem, PREFIXmember.pem, .key.
  void MakeMember(const std::string& prefix) const {
    EVP_PKEY* authority = EVP_EC_gen("P-256");
    EVP_PKEY* member = EVP_EC_gen("P-256");
    X509* root = MakeCertificate(1, authority, "authority", authority, "authority");
    X509* leaf = MakeCertificate(2, member, "member", authority, "authority");
    WritePem(prefix + "authority.pem", root, nullptr);
    WritePem(prefix + "member.pem", leaf, nullptr);
    WritePem(prefix + "member.key", nullptr, member);
    X509_free(root);
    X509_free(leaf);
    EVP_PKEY_free(authority);
    EVP_PKEY_free(member);
  }

  static X509* MakeCertificate(long serial, EVP_PKEY* key, const char* subject, EVP_PKEY* signer,
                               const char* issuer) {
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    SetName(X509_get_subject_name(certificate), subject);
    SetName(X509_get_issuer_name(certificate), issuer);
    if (key == signer) {
      X509_EXTENSION* is_authority =
          X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
      X509_add_ext(certificate, is_authority, -1);
      X509_EXTENSION_free(is_authority);
    }
    X509_sign(certificate, signer, EVP_sha256());
    return certificate;
  }
  static void SetName(X509_NAME* name, const char* text) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
  }
  void WritePem(const std::string& name, X509* certificate, EVP_PKEY* key) const {
    FILE* file = std::fopen((folder_.path() + "/" + name).c_str(), "w");
    if (certificate) PEM_write_X509(file, certificate);
    if (key) PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
  }

  const TempDir folder_{"job_secrets"};
};

}  // namespace tributary
