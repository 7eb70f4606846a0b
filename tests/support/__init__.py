"""What tests share: fakes of the interfaces, images, and real servers and clients."""
