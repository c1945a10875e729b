import subprocess
from django.http import JsonResponse

def convert(request):
    name = request.POST.get("name")
    out = subprocess.check_output(["convert", "--", name, "out.png"])
    return JsonResponse({"n": len(out)})
