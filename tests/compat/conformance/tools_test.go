// Package conformance only pins the module that holds the suite.
package conformance

import _ "github.com/opencontainers/distribution-spec/conformance"
