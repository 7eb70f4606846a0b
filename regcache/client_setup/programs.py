"""The client programs that can be set up, and acted as, by name."""

PROGRAMS = ("docker", "containerd", "podman", "crio", "k3s", "buildkit", "kubelet", "nerdctl")
