from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

@method_decorator(never_cache, name="dispatch")
class Profile(View):
    def post(self, request):
        request.user.rename(request.POST["name"])
