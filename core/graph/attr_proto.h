#pragma once
// AttrValue as a message and back.

#include "core/graph/op.h"

namespace tributary {

namespace proto {
class AttrValue;
}

void AttrToProto(const AttrValue& value, proto::AttrValue* out);

// `type` is that of the schema ("list(int)"), or "" for an annotation, which is
// taken as it comes. Throws InvalidArgumentError on another type and
// UnimplementedError for functions; messages do not name the attribute.
AttrValue AttrFromProto(const proto::AttrValue& in, const std::string& type);

// False, empty or zero: what an attribute that this version does not know may say.
bool IsEmptyAttr(const proto::AttrValue& in);

}  // namespace tributary
