"""The codes of a guide in words, for regcachectl and pages; the web UI has its own."""

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "authority": "Trust the authority of the cache's certificate",
    "buildkit.toml": "A configuration for builders",
    "certificate": "The certificate that says who you are, and its key",
    "check": "Check",
    "containerd.config_path": "Have the CRI plugin of containerd read that folder",
    "containerd.hosts": "One file for each registry",
    "crio.registries": "One file with all registries",
    "docker.insecure": "Let Docker use plain HTTP",
    "docker.mirror": "Use it as Docker Hub's mirror",
    "docker.names": "Name the cache for every other registry",
    "identity": "What Docker can show a mirror",
    "k3s.registries": "One file with all registries",
    "kubelet.hosts": "One file for each registry, on every node",
    "login": "Log in",
    "nerdctl.hosts": "One file for each registry",
    "podman.registries": "One file with all registries",
    "restart": "Have it read that",
}

TEXTS: Mapping[str, str] = {
    "authority": "Systems do not know who issued the certificate, so this client has to be told.",
    "buildkit.login": "BuildKit uses the login of the user who builds, by the name of the cache.",
    "buildkit.toml": "A builder does not read daemon.json. Where the cache fails, it asks the "
    "registry itself.",
    "certificate.place": "'regcachectl seat certificate NAME' makes both, and shows them once. "
    "Save them as client.cert and client.key, and type this beside them.",
    "check": "The second line pulls as this client would, and says whether the cache answered. A "
    "pull that works proves nothing: after an error the client asks the registry itself.",
    "containerd.config_path": "Kubernetes needs it; ctr and nerdctl do not. Put it into the file "
    "that is there already.",
    "containerd.header": "containerd sends the header with every request. Fill in the account: "
    "'Basic ' and the base64 of NAME:PASSWORD. If the cache does not answer, or fails, it asks "
    "the registry itself.",
    "containerd.hosts": "It is read at every pull. If the cache fails, or does not answer in time, "
    "containerd asks the registry itself. Older versions do not know dial_timeout, and wait 30 s.",
    "crio.login": "Pull secrets of Kubernetes are for the registry itself; for the cache CRI-O "
    "goes by a file of its own.",
    "crio.registries": "It is read again at a reload. If the cache fails, CRI-O asks the "
    "registry itself.",
    "docker.check": "A pull that works proves nothing: after an error of its mirror Docker asks "
    "Docker Hub. The last line asks as Docker would, and says whether the cache answered.",
    "docker.insecure": "Without it Docker expects TLS.",
    "docker.link": "The address that Docker pulls from has to be let in by the link of this "
    "account first.",
    "docker.login": "For what is pulled by the name of the cache.",
    "docker.mirror": "Plain names work as before, for Docker Hub only. If the cache fails, "
    "Docker asks Docker Hub itself; how long it waits cannot be set.",
    "docker.mirror_login": "Docker sends mirrors no login, and this cache wants one from "
    "everybody: so Docker would pass it over. Let your networks pull without an account "
    "(access.rules), give Docker a client certificate (/etc/docker/certs.d), or pull by the "
    "name of the cache.",
    "docker.mirror_some": "Docker sends mirrors no login. It gets what may be pulled without an "
    "account from its address, and asks Docker Hub itself for all else.",
    "docker.names": "Put this in the place of the registry's name.",
    "docker.none": "Docker sends no login to a mirror, so it needs a certificate, a host name or a "
    "link of this account; ask for one. Until then: docker login, and pull by the name of the "
    "cache.",
    "k3s.login": "Fill in the account: k3s sends it to the cache.",
    "k3s.registries": "RKE2 has the same file in /etc/rancher/rke2. If the cache fails, the "
    "registry itself is asked.",
    "k3s.restart": "It is read when k3s starts.",
    "kubelet.hosts": "The kubelet has no mirrors: its runtime has. For CRI-O see the guide for "
    "that. Pull secrets are for the registry itself; those that reach the cache are not kept.",
    "login": "The client keeps it, by the name of the cache.",
    "nerdctl.hosts": "Without root the folder is ~/.config/containerd/certs.d. If the cache does "
    "not answer, or fails, the registry itself is asked.",
    "podman.registries": "podman, skopeo and buildah read it at every pull. If the cache fails, "
    "they ask the registry itself.",
}

NOTES: Mapping[str, str] = {
    "host_guessed": "Nothing says under which name clients reach this machine; --host does.",
    "not_covered": "No certificate of the cache has this host, so clients would pass it by. Name "
    "one that it has (--host), or add it; hosts of seats need a wildcard, *.example.com.",
    "loopback": "The cache listens on loopback only: clients on other machines do not reach it. "
    "See 'listeners' in the configuration.",
}

#: The code in the place of another one, where the account has been filled in.
FILLED: Mapping[str, str] = {"containerd.header": "containerd.hosts", "k3s.login": "k3s.registries"}
