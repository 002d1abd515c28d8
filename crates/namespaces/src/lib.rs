//! Linux namespaces: clone into new ones, join existing ones, map ids.
