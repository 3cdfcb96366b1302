#include "trainer/model/remote_table.h"

namespace tributary {
namespace {

thread_local RemoteTables* current = nullptr;

}  // namespace

RemoteTables* RemoteTables::Current() { return current; }

RemoteTables::Scope::Scope(RemoteTables* tables) : before_(current) { current = tables; }
RemoteTables::Scope::~Scope() { current = before_; }

}  // namespace tributary
